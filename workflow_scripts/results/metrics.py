"""Scores and answer loss of a set of predictions, with intervals."""

from __future__ import annotations

import pandas as pd

from workflow_scripts.results.statistics import Interval, mean_interval, score_interval

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
