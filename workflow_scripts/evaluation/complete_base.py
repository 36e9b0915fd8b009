"""Completes the validation and test items with the base model after k demonstrations."""

from __future__ import annotations

import argparse
from pathlib import Path

from workflow_scripts.config.slices import CompletionSlice
from workflow_scripts.evaluation.arguments import completion_parser, read_splits, state_of
from workflow_scripts.evaluation.completions import complete_splits
from workflow_scripts.modeling.loading import open_model
from workflow_scripts.runtime.errors import run_entry_point
from workflow_scripts.runtime.files import atomic_file, write_json
from workflow_scripts.tasks.examples import draw_demonstrations, read_examples


def main() -> None:
    arguments = parse_arguments()
    settings = CompletionSlice.model_validate_json(arguments.settings)
    pool = read_examples(arguments.demonstrations)
    with state_of(arguments, "evaluation.complete_base") as state:
        completed = complete_splits(
            open_model(arguments.model),
            settings,
            read_splits(arguments),
            state,
            demonstrations=draw_demonstrations(pool, settings.context),
        )
        with atomic_file(arguments.output) as partial:
            completed.table.to_parquet(partial, index=False)
        write_json(arguments.cost, completed.inference)


def parse_arguments() -> argparse.Namespace:
    parser = completion_parser(__doc__)
    parser.add_argument("--demonstrations", type=Path, required=True, help="the reserved pool")
    parser.add_argument("--cost", type=Path, required=True, help="inference.json")
    return parser.parse_args()


if __name__ == "__main__":
    run_entry_point(main)
