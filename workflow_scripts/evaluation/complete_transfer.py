"""Completes a task's items with the checkpoint that was chosen on another task.

The prompt shows the demonstrations that the settings ask for. Rows keep the checkpoint's step; the
base model's rows, with the same demonstrations, come first as step 0.
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
from workflow_scripts.tasks.examples import draw_demonstrations, read_examples


def main(
    settings: CompletionSlice,
    model: Path,
    checkpoints: Path,
    chosen_on: Path,
    demonstrations: Path,
    base: Path,
    validation: Path,
    test: Path,
    completions: Path,
) -> None:
    """Complete a task's items with the checkpoint that was trained and chosen on another task.

    checkpoints: manifest of the run on the other task.
    chosen_on: predictions of that run on its own task.
    demonstrations: the reserved pool.
    base: completions of the base model, which become step 0.
    completions: completions.parquet, to write.
    """
    pool = read_examples(demonstrations)
    step = chosen_step(pd.read_parquet(checked(chosen_on)))
    inputs = [model, checkpoints, chosen_on, demonstrations, base, validation, test]
    with state_of(completions, settings, inputs, "evaluation.complete_transfer") as state:
        completed = complete_splits(
            open_model(model),
            settings,
            {"validation": read_examples(validation), "test": read_examples(test)},
            state,
            demonstrations=draw_demonstrations(pool, settings.context),
            checkpoints=read_checkpoints(checkpoints, [step]),
        )
        with atomic_file(completions) as partial:
            pd.concat([pd.read_parquet(checked(base)), completed.table]).to_parquet(
                partial, index=False
            )


if __name__ == "__main__":
    run_program(main)
