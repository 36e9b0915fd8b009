"""Completes the test items a second time with a run's selected checkpoint.

Batches differ from the first time, so any difference is noise of the evaluation.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from workflow_scripts.config.slices import CompletionSlice
from workflow_scripts.evaluation.arguments import state_of
from workflow_scripts.evaluation.checkpoints import read_checkpoints
from workflow_scripts.evaluation.completions import complete_splits
from workflow_scripts.modeling.loading import open_model
from workflow_scripts.results.checkpoint_selection import chosen_step
from workflow_scripts.runtime.errors import run_entry_point
from workflow_scripts.runtime.files import atomic_file
from workflow_scripts.tasks.examples import read_examples


def main() -> None:
    arguments = parse_arguments()
    settings = in_half_batches(CompletionSlice.model_validate_json(arguments.settings))
    step = chosen_step(pd.read_parquet(arguments.chosen_on))
    with state_of(arguments, "evaluation.complete_again") as state:
        completed = complete_splits(
            open_model(arguments.model),
            settings,
            {"test": read_examples(arguments.test)[::-1]},
            state,
            checkpoints=read_checkpoints(arguments.checkpoints, [step]),
        )
        with atomic_file(arguments.output) as partial:
            completed.table.to_parquet(partial, index=False)


def in_half_batches(settings: CompletionSlice) -> CompletionSlice:
    """The settings with half the batch size, at least 1."""
    halved = {"batch_size": max(1, settings.engine.batch_size // 2)}
    return settings.model_copy(update={"engine": settings.engine.model_copy(update=halved)})


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="CompletionSlice as JSON")
    parser.add_argument("--model", type=Path, required=True, help="manifest of the model")
    parser.add_argument("--checkpoints", type=Path, required=True, help="their manifest")
    parser.add_argument(
        "--chosen-on", type=Path, required=True, help="predictions of the first evaluation"
    )
    parser.add_argument("--test", type=Path, required=True, help="parquet file of the split")
    parser.add_argument("--output", type=Path, required=True, help="completions.parquet")
    return parser.parse_args()


if __name__ == "__main__":
    run_entry_point(main)
