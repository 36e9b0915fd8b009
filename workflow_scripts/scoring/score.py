"""Scores completions, of a base model or of a run, against the answers of the tasks."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from workflow_scripts.config.slices import PredictionSlice
from workflow_scripts.runtime.checksums import checked
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import atomic_file
from workflow_scripts.scoring.golds import refuse_unmatchable
from workflow_scripts.scoring.predictions import score_completions
from workflow_scripts.scoring.selection import with_selection
from workflow_scripts.tasks.examples import read_examples


def main(
    settings: dict[str, PredictionSlice],
    completions: Path,
    validation: list[Path],
    test: list[Path],
    predictions: Path,
    reference: list[Path] | None = None,
) -> None:
    """Score completions, of a base model or of a run, against the answers of the tasks.

    settings: task → those of its scores. Several tasks are told apart by the column `task`.
    validation, test: the splits of each task that were completed.
    reference: answers of the reference teacher to validation items, of each task whose checkpoints
    are chosen by their agreement with it.
    predictions: predictions.parquet, to write.
    """
    completed = pd.read_parquet(checked(completions))
    answered = iter(reference or ())
    tables = []
    for (task, own), *files in zip(settings.items(), validation, test, strict=True):
        rows = completed[completed["task"] == task] if "task" in completed else completed
        try:
            agreed = [next(answered)] if own.choose_by == "agreement" else []
            tables.append(predictions_of(rows, own, files, agreed))
        except InputError as error:
            raise InputError(f"{task}: {error}") from None
    with atomic_file(predictions) as partial:
        pd.concat(tables).to_parquet(partial, index=False)


def predictions_of(
    completions: pd.DataFrame, settings: PredictionSlice, splits: list[Path], reference: list[Path]
) -> pd.DataFrame:
    """The completions of one task with their scores and with what chooses a checkpoint."""
    items = [example for split in splits for example in read_examples(split)]
    refuse_unmatchable(items, settings)
    scored = score_completions(completions, items, settings)
    answered = [example for path in reference for example in read_examples(path)]
    return with_selection(scored, settings, answered)


if __name__ == "__main__":
    run_program(main)
