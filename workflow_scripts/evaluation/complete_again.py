"""Completes the test items a second time with a run's chosen checkpoint.

Batches differ from the first time, so any difference is noise of the evaluation.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from workflow_scripts.config.slices import CompletionSlice
from workflow_scripts.evaluation.checkpoints import read_checkpoints
from workflow_scripts.evaluation.completions import complete_splits
from workflow_scripts.evaluation.state import state_of
from workflow_scripts.modeling.loading import open_model
from workflow_scripts.results.checkpoint_selection import chosen_step
from workflow_scripts.runtime.checksums import checked
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.files import atomic_file
from workflow_scripts.tasks.examples import read_examples


def main(
    settings: CompletionSlice,
    model: Path,
    checkpoints: Path,
    chosen_on: Path,
    test: Path,
    completions: Path,
) -> None:
    """Complete the test items once more with a run's chosen checkpoint.

    checkpoints: their manifest.
    chosen_on: predictions of the first evaluation.
    completions: completions.parquet, to write.
    """
    step = chosen_step(pd.read_parquet(checked(chosen_on)))
    inputs = [model, checkpoints, chosen_on, test]
    with state_of(completions, settings, inputs, "evaluation.complete_again") as state:
        completed = complete_splits(
            open_model(model),
            in_half_batches(settings),
            {"test": read_examples(test)[::-1]},
            state,
            checkpoints=read_checkpoints(checkpoints, [step]),
        )
        with atomic_file(completions) as partial:
            completed.table.to_parquet(partial, index=False)


def in_half_batches(settings: CompletionSlice) -> CompletionSlice:
    """The settings with half the batch size, at least 1."""
    halved = {"batch_size": max(1, settings.engine.batch_size // 2)}
    return settings.model_copy(update={"engine": settings.engine.model_copy(update=halved)})


if __name__ == "__main__":
    run_program(main)
