"""Measures how far each checkpoint of a run moved the model's hidden states, and where to."""

from __future__ import annotations

import argparse
from pathlib import Path

from workflow_scripts.config.slices import RepresentationSlice
from workflow_scripts.evaluation.checkpoints import read_checkpoints
from workflow_scripts.evaluation.representations import measure
from workflow_scripts.modeling.loading import open_model
from workflow_scripts.results.index import write_table
from workflow_scripts.runtime.errors import run_entry_point
from workflow_scripts.runtime.files import atomic_file
from workflow_scripts.tasks.examples import draw_demonstrations, read_examples


def main() -> None:
    arguments = parse_arguments()
    settings = RepresentationSlice.model_validate_json(arguments.settings)
    measured = measure(
        open_model(arguments.model),
        settings,
        read_examples(arguments.examples),
        draw_demonstrations(read_examples(arguments.demonstrations), settings.context),
        read_checkpoints(arguments.checkpoints, arguments.steps),
    )
    with atomic_file(arguments.output) as partial:
        measured.by_item.to_parquet(partial, index=False)
    write_table(measured.similarity, arguments.similarity)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="RepresentationSlice as JSON")
    parser.add_argument("--model", type=Path, required=True, help="manifest of the model")
    parser.add_argument("--checkpoints", type=Path, required=True, help="their manifest")
    parser.add_argument("--steps", type=int, nargs="+", required=True, help="which of them")
    parser.add_argument("--demonstrations", type=Path, required=True, help="the reserved pool")
    parser.add_argument("--examples", type=Path, required=True, help="the items that are read")
    parser.add_argument("--output", type=Path, required=True, help="representations.parquet")
    parser.add_argument("--similarity", type=Path, required=True, help="similarity.csv")
    return parser.parse_args()


if __name__ == "__main__":
    run_entry_point(main)
