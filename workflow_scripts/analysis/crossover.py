"""When a trained student without context reaches the untrained model with context."""

from __future__ import annotations

import pandas as pd

from workflow_scripts.errors import InputError
from workflow_scripts.names import is_transferred
from workflow_scripts.results import RUN_KEYS


def crossover(predictions: pd.DataFrame) -> pd.DataFrame:
    """crossover.csv: the first step at which each run crosses the few-shot reference on test.

    The reference is the base result at the largest shot count. `loss_step` is the first step
    whose mean answer loss lies below the reference's, `accuracy_step` the first whose strict
    accuracy is at least the reference's; missing where that never happens. Transferred results
    are left out: their steps are of a training on another task.

    predictions: as `read_predictions` returns them.
    Raises InputError when a model and task have no base result.
    """
    test = predictions[predictions["split"] == "test"]
    tables = [_task_table(group) for _, group in test.groupby(["model", "task"], sort=False)]
    return pd.concat(tables, ignore_index=True)


def _task_table(predictions: pd.DataFrame) -> pd.DataFrame:
    """The rows of one model on one task."""
    base = predictions[predictions["shots"].notna()]
    if base.empty:
        model, task = predictions[["model", "task"]].iloc[0]
        raise InputError(f"{model} {task}: no base result in the index to cross")
    reference = base[base["shots"] == base["shots"].max()]
    name = reference["condition"].iloc[0]
    loss, accuracy = reference["answer_loss"].mean(), reference["strict"].mean()
    trained = predictions["seed"].notna() & ~predictions["condition"].map(is_transferred)
    runs = predictions[trained]
    means = runs.groupby([*RUN_KEYS, "step"], sort=False)[["answer_loss", "strict"]].mean()
    steps = means.reset_index().assign(
        loss_step=lambda table: table["step"].where(table["answer_loss"] < loss),
        accuracy_step=lambda table: table["step"].where(table["strict"] >= accuracy),
        last_step=lambda table: table["step"],
    )
    table = steps.groupby(RUN_KEYS, sort=False, as_index=False).agg(
        {"loss_step": "min", "accuracy_step": "min", "last_step": "max"}
    )
    table = table.astype(dict.fromkeys(("loss_step", "accuracy_step", "last_step"), "Int64"))
    for column, value in (
        ("reference_accuracy", accuracy),
        ("reference_loss", loss),
        ("reference", name),
    ):
        table.insert(len(RUN_KEYS), column, value)
    return table
