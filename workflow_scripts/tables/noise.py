"""The noise of evaluation: what changes when the same checkpoint is evaluated twice."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from workflow_scripts.results.index import (
    RUN_KEYS,
    ResultIndex,
    name_of,
    read_predictions,
    write_table,
)
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.errors import InputError

COLUMNS = [
    *RUN_KEYS,
    "step",
    "items",
    "changed_predictions",
    "changed_strict",
    "accuracy",
    "repeated_accuracy",
    "difference",
    "loss_difference",
    "loss_difference_max",
]
_KEYS = [*RUN_KEYS, "step", "split", "item"]


def main(index: ResultIndex, repeated: ResultIndex, table: Path) -> None:
    """Make noise.csv.

    index: the runs as first evaluated.
    repeated: the same runs, evaluated again.
    """
    write_table(noise(read_predictions(index), read_predictions(repeated)), table)


def noise(predictions: pd.DataFrame, repeated: pd.DataFrame) -> pd.DataFrame:
    """noise.csv: one row for each run and step that was evaluated twice.

    On the test items: how many get another prediction or another strict score the second time,
    the two strict accuracies and their difference (second minus first), and the mean and the
    largest absolute difference of an item's answer loss, in nats.

    predictions: of the first evaluation; it may hold more runs and steps. repeated: of the second.
    Both as `read_predictions` returns them.
    Both may be empty, where nothing is trained; so is the table then.
    Raises InputError when an item was completed the second time only.
    """
    if repeated.empty:
        return pd.DataFrame(columns=COLUMNS)
    both = repeated.merge(
        predictions, how="left", on=_KEYS, suffixes=("_again", ""), indicator="found"
    )
    alone = both[both["found"] == "left_only"]
    if len(alone):
        *run, step, _, item = alone[_KEYS].iloc[0]
        raise InputError(
            f"{name_of(*run)}: item {item} was completed at step {step} the second time only; "
            "delete the repeated completions and rerun"
        )
    rows = [
        dict(zip([*RUN_KEYS, "step"], key, strict=True)) | _changes(group)
        for key, group in both.groupby([*RUN_KEYS, "step"], sort=False, dropna=False)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _changes(both: pd.DataFrame) -> dict[str, float]:
    first, second = both["strict"], both["strict_again"]
    losses = (both["answer_loss_again"] - both["answer_loss"]).abs()
    return {
        "items": len(both),
        "changed_predictions": int((both["prediction_again"] != both["prediction"]).sum()),
        "changed_strict": int((first != second).sum()),
        "accuracy": float(first.mean()),
        "repeated_accuracy": float(second.mean()),
        "difference": float(second.mean() - first.mean()),
        "loss_difference": float(losses.mean()),
        "loss_difference_max": float(losses.max()),
    }


if __name__ == "__main__":
    run_program(main)
