"""The best variant of each condition on validation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from workflow_scripts.results.checkpoint_selection import chosen_variant, validation_scores
from workflow_scripts.results.index import ResultIndex, read_predictions, write_table
from workflow_scripts.runtime.cli import run_program

COLUMNS = [
    "model",
    "task",
    "arm",
    "condition",
    "setting",
    "trials",
    "validation",
    "validation_loss",
    "chosen",
]
# arm → its candidates, itself the first → what is varied, and its value there
Tuned = Mapping[str, Mapping[str, str]]


def main(tuned: dict[str, dict[str, str]], index: ResultIndex, table: Path) -> None:
    """Make tuning.csv from the runs of one model on one task."""
    write_table(tuning(read_predictions(index), tuned), table)


def tuning(predictions: pd.DataFrame, tuned: Tuned) -> pd.DataFrame:
    """tuning.csv: one row for each candidate of each arm; `chosen` is the `chosen_variant`.

    predictions: of runs of one model on one task, as `read_predictions` returns them.
    """
    table = pd.DataFrame(_rows(predictions, tuned), columns=COLUMNS[2:])
    return table.assign(**predictions[["model", "task"]].iloc[0])[COLUMNS]


def _rows(predictions: pd.DataFrame, tuned: Tuned) -> Iterator[dict[str, object]]:
    scores = validation_scores(predictions)
    for arm, candidates in tuned.items():
        chosen = chosen_variant(predictions, list(candidates))
        for name, setting in candidates.items():
            yield {
                "arm": arm,
                "condition": name,
                "setting": setting,
                "trials": len(candidates),
                "validation": scores.loc[name, "selection"],
                "validation_loss": scores.loc[name, "selection_loss"],
                "chosen": name == chosen,
            }


if __name__ == "__main__":
    run_program(main)
