"""Completes the validation and test items with checkpoints of a run."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from workflow_scripts.config.slices import CompletionSlice
from workflow_scripts.evaluation.checkpoints import read_checkpoints
from workflow_scripts.evaluation.completions import complete_splits
from workflow_scripts.evaluation.state import state_of
from workflow_scripts.modeling.loading import open_model
from workflow_scripts.runtime.checksums import checked
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.files import atomic_file, write_json
from workflow_scripts.tasks.examples import read_examples


def main(
    settings: CompletionSlice,
    model: Path,
    checkpoints: Path,
    steps: list[int],
    base: Path,
    validation: Path,
    test: Path,
    completions: Path,
    cost: Path,
) -> None:
    """Complete the validation and test items with checkpoints of a run.

    checkpoints: their manifest.
    steps: whose checkpoints are evaluated.
    base: completions of the base model at 0 shots, which become step 0.
    completions, cost: completions.parquet and inference.json, to write.
    """
    inputs = [model, checkpoints, base, validation, test]
    with state_of(completions, settings, inputs, "evaluation.complete_run") as state:
        completed = complete_splits(
            open_model(model),
            settings,
            {"validation": read_examples(validation), "test": read_examples(test)},
            state,
            checkpoints=read_checkpoints(checkpoints, steps),
        )
        with atomic_file(completions) as partial:
            pd.concat([pd.read_parquet(checked(base)), completed.table]).to_parquet(
                partial, index=False
            )
        write_json(cost, completed.inference)


if __name__ == "__main__":
    run_program(main)
