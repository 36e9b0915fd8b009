"""Describes a teacher's target: what it depends on, its shards, their items and checksums."""

from __future__ import annotations

import argparse
from pathlib import Path

from workflow_scripts.config.slices import TeacherSlice
from workflow_scripts.runtime.errors import run_entry_point
from workflow_scripts.runtime.files import write_json
from workflow_scripts.teachers.manifest import build_manifest


def main() -> None:
    arguments = parse_arguments()
    settings = TeacherSlice.model_validate_json(arguments.settings)
    write_json(arguments.output, build_manifest(settings, arguments.model, arguments.shards))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="TeacherSlice as JSON")
    parser.add_argument("--model", type=Path, required=True, help="manifest of the model")
    parser.add_argument("--shards", type=Path, nargs="+", required=True, help="all shards")
    parser.add_argument("--output", type=Path, required=True, help="manifest.json")
    return parser.parse_args()


if __name__ == "__main__":
    run_entry_point(main)
