"""Describes a teacher's target: what it depends on, its shards, their items and checksums."""

from __future__ import annotations

from pathlib import Path

from workflow_scripts.config.slices import TeacherSlice
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.files import write_json
from workflow_scripts.teachers.manifest import build_manifest


def main(settings: TeacherSlice, model: Path, shards: list[Path], manifest: Path) -> None:
    """Describe a teacher's target: what it depends on, its shards, their items and checksums.

    manifest: manifest.json to write.
    """
    write_json(manifest, build_manifest(settings, model, shards))


if __name__ == "__main__":
    run_program(main)
