"""Checks that a task's scorer can match the answers of all items."""

from __future__ import annotations

from pathlib import Path

from workflow_scripts.config.slices import ScoringSlice
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.scoring.golds import refuse_unmatchable
from workflow_scripts.tasks.examples import read_examples


def main(scoring: ScoringSlice, splits: list[Path]) -> None:
    """Check that the scorer of a task can match the answers of all its items."""
    check_answers(scoring, splits)


def check_answers(settings: ScoringSlice, splits: list[Path]) -> None:
    """Raises InputError naming split and item if no completion can match an answer."""
    for split in splits:
        try:
            refuse_unmatchable(read_examples(split), settings)
        except InputError as error:
            raise InputError(f"{split.stem}: {error}") from None


if __name__ == "__main__":
    run_program(main)
