"""Trains a small model from nothing, with a tokenizer of its own, on examples of tasks."""

from __future__ import annotations

import argparse
from pathlib import Path

from workflow_scripts.config.slices import PretrainingSlice
from workflow_scripts.pretraining.run import pretrain
from workflow_scripts.runtime.errors import run_entry_point
from workflow_scripts.tasks.examples import read_examples


def main() -> None:
    arguments = parse_arguments()
    settings = PretrainingSlice.model_validate_json(arguments.settings)
    files = zip(settings.prompts, arguments.examples, strict=True)
    examples = {task: read_examples(file) for task, file in files}
    pretrain(settings, examples, arguments.manifest.parent)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="PretrainingSlice as JSON")
    parser.add_argument(
        "--examples",
        type=Path,
        nargs="+",
        required=True,
        help="train.parquet of each task, in the order of the prompts",
    )
    parser.add_argument(
        "--manifest", type=Path, required=True, help="manifest.json to write; its folder is made"
    )
    return parser.parse_args()


if __name__ == "__main__":
    run_entry_point(main)
