"""Finds the items of a task that exceed some model's context window."""

from __future__ import annotations

from pathlib import Path

from workflow_scripts.config.slices import OverflowSlice
from workflow_scripts.modeling.loading import open_model
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.files import write_json
from workflow_scripts.tasks.overflow import find_overflow
from workflow_scripts.tasks.sources import read_source


def main(settings: OverflowSlice, models: list[Path], overflow: Path) -> None:
    """Find the items of a task that do not fit some model's context.

    models: manifests of all models.
    overflow: overflow.json, to write.
    """
    opened = [open_model(manifest) for manifest in models]
    source = read_source(settings.data)
    write_json(overflow, find_overflow(source.splits, settings, opened))


if __name__ == "__main__":
    run_program(main)
