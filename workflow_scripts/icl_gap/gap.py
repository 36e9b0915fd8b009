"""What demonstrations in context give an untrained model, and whether that is enough to study."""

from __future__ import annotations

from collections.abc import Hashable

import pandas as pd

from workflow_scripts.errors import InputError
from workflow_scripts.measures import measures
from workflow_scripts.results import by_item
from workflow_scripts.settings import AnalysisSettings
from workflow_scripts.statistics import paired_bootstrap, percentile_interval


def icl_gap_table(predictions: pd.DataFrame, settings: AnalysisSettings) -> pd.DataFrame:
    """Accuracy, answer loss and in-context gap at each shot count.

    `gap` is the strict accuracy minus that at 0 shots on the same split, with the percentile
    interval of a paired bootstrap over items. A model `qualifies` for a task when its gap on
    the test split at the largest shot count is at least `settings.qualifying_gap`.

    predictions: base results, as `read_predictions` returns them.
    Returns one row for each model, task, shot count and split.
    Raises InputError when a model has no result at 0 shots, or item sets differ.
    """
    tables = [
        _task_table(group, settings)
        for _, group in predictions.groupby(["model", "task"], sort=False)
    ]
    return pd.concat(tables, ignore_index=True)


def _task_table(predictions: pd.DataFrame, settings: AnalysisSettings) -> pd.DataFrame:
    """The rows of one model on one task."""
    if 0 not in set(predictions["shots"]):
        model, task = predictions[["model", "task"]].iloc[0]
        raise InputError(f"{model} {task}: no result at 0 shots, so there is no gap to measure")
    table = pd.DataFrame(
        [
            row
            for _, group in predictions.groupby("split", sort=False)
            for row in _split_rows(group, settings)
        ]
    )
    decisive = table[(table["split"] == "test") & (table["shots"] == table["shots"].max())]
    return table.assign(qualifies=bool((decisive["gap"] >= settings.qualifying_gap).all()))


def _split_rows(
    predictions: pd.DataFrame, settings: AnalysisSettings
) -> list[dict[Hashable, object]]:
    """One row for each shot count, fewest first."""
    correct = by_item(predictions.assign(seed=0), "strict", ["shots"])
    rows = []
    for shots, group in predictions.groupby("shots"):
        draws = paired_bootstrap(
            correct[shots].to_numpy(),
            correct[0].to_numpy(),
            settings.bootstrap_samples,
            settings.seed,
        )
        interval = percentile_interval(draws, settings.confidence)
        key = group[["model", "task", "shots", "split"]].iloc[0].to_dict()
        gap = (correct[shots].astype(int) - correct[0]).mean()
        rows.append(
            key
            | measures(group, settings.confidence)
            | {"gap": gap, "gap_low": interval.low, "gap_high": interval.high}
        )
    return rows
