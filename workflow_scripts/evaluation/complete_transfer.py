"""Completes a task's items with the checkpoint that was selected on another task.

The prompt shows the demonstrations that the settings ask for. Rows keep the checkpoint's step; the
base model's rows, with the same demonstrations, come first as step 0.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from workflow_scripts.config.slices import CompletionSlice
from workflow_scripts.evaluation.arguments import completion_parser, read_splits, state_of
from workflow_scripts.evaluation.checkpoints import read_checkpoints
from workflow_scripts.evaluation.completions import complete_splits
from workflow_scripts.modeling.loading import open_model
from workflow_scripts.results.checkpoint_selection import chosen_step
from workflow_scripts.runtime.errors import run_entry_point
from workflow_scripts.runtime.files import atomic_file
from workflow_scripts.tasks.examples import draw_demonstrations, read_examples


def main() -> None:
    arguments = parse_arguments()
    settings = CompletionSlice.model_validate_json(arguments.settings)
    pool = read_examples(arguments.demonstrations)
    base = pd.read_parquet(arguments.base)
    step = chosen_step(pd.read_parquet(arguments.chosen_on))
    with state_of(arguments, "evaluation.complete_transfer") as state:
        completed = complete_splits(
            open_model(arguments.model),
            settings,
            read_splits(arguments),
            state,
            demonstrations=draw_demonstrations(pool, settings.context),
            checkpoints=read_checkpoints(arguments.checkpoints, [step]),
        )
        with atomic_file(arguments.output) as partial:
            pd.concat([base, completed.table]).to_parquet(partial, index=False)


def parse_arguments() -> argparse.Namespace:
    parser = completion_parser(__doc__)
    parser.add_argument(
        "--checkpoints", type=Path, required=True, help="manifest of the run on the other task"
    )
    parser.add_argument(
        "--chosen-on", type=Path, required=True, help="that run's predictions on its own task"
    )
    parser.add_argument("--demonstrations", type=Path, required=True, help="the reserved pool")
    parser.add_argument(
        "--base", type=Path, required=True, help="completions of the model itself: step 0"
    )
    return parser.parse_args()


if __name__ == "__main__":
    run_entry_point(main)
