"""Measures how far each checkpoint of a run moved the model's hidden states, and where to."""

from __future__ import annotations

from pathlib import Path

from workflow_scripts.config.slices import RepresentationSlice
from workflow_scripts.evaluation.checkpoints import read_checkpoints
from workflow_scripts.evaluation.representations import measure
from workflow_scripts.modeling.loading import open_model
from workflow_scripts.results.index import write_table
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.files import atomic_file
from workflow_scripts.tasks.examples import draw_demonstrations, read_examples


def main(
    settings: RepresentationSlice,
    model: Path,
    checkpoints: Path,
    steps: list[int],
    demonstrations: Path,
    examples: Path,
    representations: Path,
    similarity: Path,
) -> None:
    """Measure how far each checkpoint of a run moved the model's hidden states, and where to.

    checkpoints: their manifest.
    steps: whose checkpoints are measured.
    demonstrations: the reserved pool.
    representations, similarity: representations.parquet and similarity.csv, to write.
    """
    measured = measure(
        open_model(model),
        settings,
        read_examples(examples),
        draw_demonstrations(read_examples(demonstrations), settings.context),
        read_checkpoints(checkpoints, steps),
    )
    with atomic_file(representations) as partial:
        measured.by_item.to_parquet(partial, index=False)
    write_table(measured.similarity, similarity)


if __name__ == "__main__":
    run_program(main)
