"""Scores completions, of a base model or of a run, against the task's answers."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from workflow_scripts.config.slices import PredictionSlice
from workflow_scripts.runtime.checksums import checked
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.files import atomic_file
from workflow_scripts.scoring.golds import refuse_unmatchable
from workflow_scripts.scoring.predictions import score_completions
from workflow_scripts.scoring.selection import with_selection
from workflow_scripts.tasks.examples import read_examples


def main(
    settings: PredictionSlice,
    completions: Path,
    examples: list[Path],
    predictions: Path,
    reference: list[Path] | None = None,
) -> None:
    """Score completions, of a base model or of a run, against the task's answers.

    examples: the splits that were completed.
    reference: answers of the reference teacher to validation items, if checkpoints are chosen by
    their agreement with it.
    predictions: predictions.parquet, to write.
    """
    items = [example for split in examples for example in read_examples(split)]
    refuse_unmatchable(items, settings)
    scored = score_completions(pd.read_parquet(checked(completions)), items, settings)
    answered = [example for path in reference or () for example in read_examples(path)]
    scored = with_selection(scored, settings, answered)
    with atomic_file(predictions) as partial:
        scored.to_parquet(partial, index=False)


if __name__ == "__main__":
    run_program(main)
