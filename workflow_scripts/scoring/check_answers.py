"""Checks that a task's scorer can match the answers of all items."""

from __future__ import annotations

import argparse
from pathlib import Path

from workflow_scripts.config.slices import ScoringSlice
from workflow_scripts.runtime.errors import InputError, run_entry_point
from workflow_scripts.scoring.golds import refuse_unmatchable
from workflow_scripts.tasks.examples import read_examples


def main() -> None:
    arguments = parse_arguments()
    check_answers(ScoringSlice.model_validate_json(arguments.settings), arguments.examples)


def check_answers(settings: ScoringSlice, splits: list[Path]) -> None:
    """Raises InputError naming split and item if no completion can match an answer."""
    for split in splits:
        try:
            refuse_unmatchable(read_examples(split), settings)
        except InputError as error:
            raise InputError(f"{split.stem}: {error}") from None


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="ScoringSlice as JSON")
    parser.add_argument("--examples", type=Path, nargs="+", required=True, help="the task's splits")
    return parser.parse_args()


if __name__ == "__main__":
    run_entry_point(main)
