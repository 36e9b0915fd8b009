"""Scores and answer loss of a set of predictions, with intervals."""

from __future__ import annotations

import pandas as pd

from workflow_scripts.results.statistics import mean_interval, score_interval

ACCURACIES = ("strict", "flexible")


def metrics_of(predictions: pd.DataFrame, confidence: float) -> dict[str, float]:
    """Strict and flexible accuracy and mean answer loss, each with `_low` and `_high`.

    Accuracies have the `score_interval`, Wilson's where every score is 0 or 1; the answer loss
    has Student's t interval of the mean over items.

    predictions: one row for each item.
    """
    found: dict[str, float] = {"items": len(predictions)}
    for kind in ACCURACIES:
        scores = predictions[kind].to_numpy(dtype=float)
        name = f"accuracy_{kind}"
        found[name] = float(scores.mean())
        found[f"{name}_low"], found[f"{name}_high"] = score_interval(scores, confidence)
    losses = predictions["answer_loss"].to_numpy(dtype=float)
    found["answer_loss"] = float(losses.mean())
    found["answer_loss_low"], found["answer_loss_high"] = mean_interval(losses, confidence)
    return found
