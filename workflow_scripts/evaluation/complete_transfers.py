"""Completes the items of other tasks with the checkpoint that a run chose on its own task.

The prompts show the demonstrations that the settings ask for. Rows have the columns `task` and
`shots` and keep the checkpoint's step; of each task and number of shots the base model's rows, with
the same demonstrations, come first as step 0.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from workflow_scripts.config.slices import CompletionSlice
from workflow_scripts.evaluation.checkpoints import read_checkpoints
from workflow_scripts.evaluation.completions import Part, complete_parts
from workflow_scripts.evaluation.state import lasting_state_of
from workflow_scripts.modeling.loading import open_model
from workflow_scripts.results.checkpoint_selection import chosen_step
from workflow_scripts.runtime.checksums import checked
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.files import atomic_file
from workflow_scripts.tasks.examples import draw_demonstrations, read_examples


def main(
    settings: dict[str, list[CompletionSlice]],
    model: Path,
    checkpoints: Path,
    chosen_on: Path,
    demonstrations: list[Path],
    validation: list[Path],
    test: list[Path],
    base: list[Path],
    completions: Path,
) -> None:
    """Complete the items of other tasks with the checkpoint that a run chose on its own task.

    settings: task → those of each number of shots.
    checkpoints: manifest of the run.
    chosen_on: its predictions on its own task.
    demonstrations, validation, test: the reserved pool and the items of each task.
    base: completions of the base model, of each task and number of shots, which become step 0.
    completions: completions.parquet, to write.
    """
    step = chosen_step(pd.read_parquet(checked(chosen_on)))
    parts = parts_of(settings, demonstrations, validation, test)
    engine = parts[0].settings.engine
    inputs = [model, checkpoints]
    with lasting_state_of(completions, engine, inputs, "evaluation.complete_transfers") as state:
        answered, _ = complete_parts(
            open_model(model), parts, state, read_checkpoints(checkpoints, [step])
        )
        tables = [
            pd.concat([pd.read_parquet(checked(path)), table]).assign(
                task=part.task, shots=part.settings.context.shots
            )
            for part, path, table in zip(parts, base, answered, strict=True)
        ]
        with atomic_file(completions) as partial:
            pd.concat(tables).to_parquet(partial, index=False)


def parts_of(
    settings: dict[str, list[CompletionSlice]],
    demonstrations: list[Path],
    validation: list[Path],
    test: list[Path],
) -> list[Part]:
    """Each task after each number of demonstrations; the files are of each task."""
    parts = []
    files = zip(demonstrations, validation, test, strict=True)
    for (task, several), (pool, *splits) in zip(settings.items(), files, strict=True):
        drawn_from = read_examples(pool)
        examples = dict(zip(("validation", "test"), map(read_examples, splits), strict=True))
        for own in several:
            shown = draw_demonstrations(drawn_from, own.context)
            parts.append(Part(own, examples, shown, task))
    return parts


if __name__ == "__main__":
    run_program(main)
