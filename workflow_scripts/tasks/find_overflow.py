"""Finds the items of a task that exceed some model's context window."""

from __future__ import annotations

import argparse
from pathlib import Path

from workflow_scripts.config.slices import OverflowSlice
from workflow_scripts.modeling.loading import open_model
from workflow_scripts.runtime.errors import run_entry_point
from workflow_scripts.runtime.files import write_json
from workflow_scripts.tasks.overflow import find_overflow
from workflow_scripts.tasks.sources import read_source


def main() -> None:
    arguments = parse_arguments()
    settings = OverflowSlice.model_validate_json(arguments.settings)
    models = [open_model(manifest) for manifest in arguments.models]
    source = read_source(settings.data)
    write_json(arguments.output, find_overflow(source.splits, settings, models))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="OverflowSlice as JSON")
    parser.add_argument(
        "--models", type=Path, nargs="+", required=True, help="manifests of all models"
    )
    parser.add_argument("--output", type=Path, required=True, help="overflow.json")
    return parser.parse_args()


if __name__ == "__main__":
    run_entry_point(main)
