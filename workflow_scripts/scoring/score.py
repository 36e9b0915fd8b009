"""Scores completions, of a base model or of a run, against the task's answers."""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from workflow_scripts.config.slices import ScoringSlice
from workflow_scripts.runtime.errors import run_entry_point
from workflow_scripts.runtime.files import atomic_file
from workflow_scripts.scoring.golds import refuse_unmatchable
from workflow_scripts.scoring.predictions import score_completions
from workflow_scripts.tasks.examples import read_examples


def main() -> None:
    arguments = parse_arguments()
    settings = ScoringSlice.model_validate_json(arguments.settings)
    examples = [example for split in arguments.examples for example in read_examples(split)]
    refuse_unmatchable(examples, settings)
    predictions = score_completions(pd.read_parquet(arguments.completions), examples, settings)
    with atomic_file(arguments.output) as partial:
        predictions.to_parquet(partial, index=False)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="ScoringSlice as JSON")
    parser.add_argument("--completions", type=Path, required=True)
    parser.add_argument("--examples", type=Path, nargs="+", required=True, help="splits completed")
    parser.add_argument("--output", type=Path, required=True, help="predictions.parquet")
    return parser.parse_args()


if __name__ == "__main__":
    run_entry_point(main)
