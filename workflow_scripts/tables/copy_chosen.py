"""The results of a tuned condition: copies of those of its variant that validation items chose."""

from __future__ import annotations

import shutil
from pathlib import Path

from workflow_scripts.results.index import ResultIndex, read_table
from workflow_scripts.runtime.checksums import checked
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.files import atomic_file


def main(
    tuned: str,
    tuning: Path,
    index: ResultIndex,
    predictions: Path,
    training_log: Path,
    cost: Path,
    inference: Path,
) -> None:
    """Copy the files of the chosen run.

    tuned: the condition. tuning: tuning.csv of the model on the task.
    index: runs of one seed and draw, of all conditions that it is chosen from.
    predictions, training_log, cost, inference: the copies.
    """
    choices = read_table(tuning)
    (chosen,) = choices.loc[choices["chosen"] & (choices["arm"] == tuned), "condition"]
    (entry,) = (entry for entry in index.entries if entry.condition == chosen)
    copies = {
        entry.predictions: predictions,
        entry.training_log: training_log,
        entry.cost: cost,
        entry.inference: inference,
    }
    for original, copy in copies.items():
        assert original is not None
        with atomic_file(copy) as partial:
            shutil.copyfile(checked(original), partial)


if __name__ == "__main__":
    run_program(main)
