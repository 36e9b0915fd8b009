"""Accuracy and answer loss of a set of predictions, with intervals."""

from __future__ import annotations

import pandas as pd

from workflow_scripts.statistics import mean_interval, wilson

ACCURACIES = ("strict", "flexible")


def measures(predictions: pd.DataFrame, confidence: float) -> dict[str, float]:
    """Strict and flexible accuracy and mean answer loss, each with `_low` and `_high`.

    Accuracies have Wilson intervals; the answer loss has Student's t interval of the mean over
    items.

    predictions: one row for each item.
    """
    items = len(predictions)
    found: dict[str, float] = {"items": items}
    for kind in ACCURACIES:
        correct = int(predictions[kind].sum())
        name = f"accuracy_{kind}"
        found[name] = correct / items
        found[f"{name}_low"], found[f"{name}_high"] = wilson(correct, items, confidence)
    losses = predictions["answer_loss"].to_numpy(dtype=float)
    found["answer_loss"] = float(losses.mean())
    found["answer_loss_low"], found["answer_loss_high"] = mean_interval(losses, confidence)
    return found
