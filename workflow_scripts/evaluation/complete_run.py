"""Completes the validation and test items with checkpoints of a run."""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from workflow_scripts.config.slices import CompletionSlice
from workflow_scripts.evaluation.arguments import completion_parser, read_splits, state_of
from workflow_scripts.evaluation.checkpoints import read_checkpoints
from workflow_scripts.evaluation.completions import complete_splits
from workflow_scripts.modeling.loading import open_model
from workflow_scripts.runtime.errors import run_entry_point
from workflow_scripts.runtime.files import atomic_file, write_json


def main() -> None:
    arguments = parse_arguments()
    settings = CompletionSlice.model_validate_json(arguments.settings)
    base = pd.read_parquet(arguments.base)
    with state_of(arguments, "evaluation.complete_run") as state:
        completed = complete_splits(
            open_model(arguments.model),
            settings,
            read_splits(arguments),
            state,
            checkpoints=read_checkpoints(arguments.checkpoints, arguments.steps),
        )
        with atomic_file(arguments.output) as partial:
            pd.concat([base, completed.table]).to_parquet(partial, index=False)
        write_json(arguments.cost, completed.inference)


def parse_arguments() -> argparse.Namespace:
    parser = completion_parser(__doc__)
    parser.add_argument("--checkpoints", type=Path, required=True, help="their manifest")
    parser.add_argument("--steps", type=int, nargs="+", required=True, help="which of them")
    parser.add_argument(
        "--base", type=Path, required=True, help="completions of the model at 0 shots: step 0"
    )
    parser.add_argument("--cost", type=Path, required=True, help="inference.json")
    return parser.parse_args()


if __name__ == "__main__":
    run_entry_point(main)
