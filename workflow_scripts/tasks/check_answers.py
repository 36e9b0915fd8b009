"""Checks that the scorer of a task can match the answers of all its items."""

from __future__ import annotations

import argparse
from pathlib import Path

from workflow_scripts.errors import InputError, run_entry_point
from workflow_scripts.files import write_json
from workflow_scripts.settings import ScoringSlice
from workflow_scripts.tasks.examples import read_examples
from workflow_scripts.tasks.golds import refuse_unmatchable


def main() -> None:
    arguments = parse_arguments()
    settings = ScoringSlice.model_validate_json(arguments.settings)
    check_answers(settings, arguments.examples, arguments.output)


def check_answers(settings: ScoringSlice, splits: list[Path], output: Path) -> None:
    """Writes how many items of each split were checked, and for which scorer.

    Raises InputError for an item whose answer nothing can match.
    """
    counts = {}
    for split in splits:
        examples = read_examples(split)
        try:
            refuse_unmatchable(examples, settings)
        except InputError as error:
            raise InputError(f"{split}: {error}") from None
        counts[split.stem] = len(examples)
    write_json(output, {"scorer": settings.scorer, "counts": counts})


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="ScoringSlice as JSON")
    parser.add_argument(
        "--examples", type=Path, nargs="+", required=True, help="splits of the task"
    )
    parser.add_argument("--output", type=Path, required=True, help="answers.json")
    return parser.parse_args()


if __name__ == "__main__":
    run_entry_point(main)
