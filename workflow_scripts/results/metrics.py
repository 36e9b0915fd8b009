"""Scores and answer loss of a set of predictions, with intervals."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.results.index import by_item, cube_of
from workflow_scripts.results.statistics import (
    Interval,
    bootstrap_means,
    mean_interval,
    percentile_interval,
    score_interval,
    score_interval_over_seeds,
)

SCORES = ("strict", "flexible")


def columns_of(*metrics: str) -> list[str]:
    """The columns of metrics with intervals: each has `<metric>_low` and `<metric>_high`."""
    return [f"{metric}{end}" for metric in metrics for end in ("", "_low", "_high")]


def in_columns(metric: str, value: float, interval: Interval) -> dict[str, float]:
    """A metric and its interval under the names of `columns_of`."""
    return dict(zip(columns_of(metric), (value, *interval), strict=True))


def metrics_of(predictions: pd.DataFrame, confidence: float) -> dict[str, float]:
    """Strict and flexible accuracy and mean answer loss, each with `_low` and `_high`.

    Accuracies have the `score_interval`, Wilson's where every score is 0 or 1; the answer loss
    has Student's t interval of the mean over items.

    predictions: one row for each item.
    """
    found: dict[str, float] = {"items": len(predictions)}
    for kind in SCORES:
        scores = predictions[kind].to_numpy(dtype=float)
        interval = score_interval(scores, confidence)
        found |= in_columns(f"accuracy_{kind}", float(scores.mean()), interval)
    losses = predictions["answer_loss"].to_numpy(dtype=float)
    interval = mean_interval(losses, confidence)
    return found | in_columns("answer_loss", float(losses.mean()), interval)


def metrics_over_replicates(
    predictions: pd.DataFrame, column: str, settings: AnalysisSettings
) -> dict[Any, dict[str, float]]:
    """The same for each value of a column, as means over several seeds or draws.

    Intervals are from a bootstrap over items, seeds and draws: `score_interval_over_seeds` of
    scores, percentiles of the answer loss.

    predictions: one row for each item of a split, seed, draw and value of the column.
    Answer losses that were not measured are NaN.
    Raises InputError when seeds, draws or values have different items.
    """
    found: dict[Any, dict[str, float]] = {}
    names = {f"accuracy_{kind}": kind for kind in SCORES} | {"answer_loss": "answer_loss"}
    for metric, measured in names.items():
        if predictions[measured].isna().all():
            absent = in_columns(metric, math.nan, Interval(math.nan, math.nan))
            found = {value: row | absent for value, row in found.items()}
            continue
        table = by_item(predictions, measured, [column])
        cube = cube_of(table)
        means = bootstrap_means(cube, settings.bootstrap_samples, settings.seed)
        for place, value in enumerate(table.columns):
            own, resampled = cube[..., place], means[:, place]
            interval = (
                percentile_interval(resampled, settings.confidence)
                if measured == "answer_loss"
                else score_interval_over_seeds(own, resampled, settings.confidence)
            )
            row = found.setdefault(value, {"items": own.shape[-1]})
            row |= in_columns(metric, float(own.mean()), interval)
    return found
