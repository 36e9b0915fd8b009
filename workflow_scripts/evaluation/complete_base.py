"""Completes the validation and test items with the base model after k demonstrations."""

from __future__ import annotations

from pathlib import Path

from workflow_scripts.config.slices import CompletionSlice
from workflow_scripts.evaluation.completions import complete_splits
from workflow_scripts.evaluation.state import state_of
from workflow_scripts.modeling.loading import open_model
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.files import atomic_file, write_json
from workflow_scripts.tasks.examples import draw_demonstrations, read_examples


def main(
    settings: CompletionSlice,
    model: Path,
    demonstrations: Path,
    validation: Path,
    test: Path,
    completions: Path,
    cost: Path,
) -> None:
    """Complete the validation and test items with the base model after k demonstrations.

    demonstrations: the reserved pool.
    completions, cost: completions.parquet and inference.json, to write.
    """
    pool = read_examples(demonstrations)
    inputs = [model, demonstrations, validation, test]
    with state_of(completions, settings, inputs, "evaluation.complete_base") as state:
        completed = complete_splits(
            open_model(model),
            settings,
            {"validation": read_examples(validation), "test": read_examples(test)},
            state,
            demonstrations=draw_demonstrations(pool, settings.context),
        )
        with atomic_file(completions) as partial:
            completed.table.to_parquet(partial, index=False)
        write_json(cost, completed.inference)


if __name__ == "__main__":
    run_program(main)
