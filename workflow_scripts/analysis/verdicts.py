"""The words for what a comparison shows, and the only rule that gives them."""

from __future__ import annotations

import pandas as pd

from workflow_scripts.statistics import Interval

BETTER = "better"
WORSE = "worse"
NOT_SHOWN = "not shown"
MIRRORED = {BETTER: WORSE, WORSE: BETTER, NOT_SHOWN: NOT_SHOWN}


def verdict(interval: Interval, p_holm: float, confidence: float) -> str:
    """What is shown about the first of two conditions.

    A difference is shown when its corrected p-value is below `1 - confidence` and its interval
    excludes 0; everything else is not shown, which is not the same as equal.
    """
    if p_holm >= 1 - confidence or not interval.excludes_zero:
        return NOT_SHOWN
    return BETTER if interval.low > 0 else WORSE


def against(comparisons: pd.DataFrame, reference: str) -> pd.DataFrame:
    """The comparisons that `reference` takes part in, turned so that it is the second.

    comparisons: rows of comparisons.csv.
    """
    straight = comparisons[comparisons["second"] == reference]
    turned = _mirrored(comparisons[comparisons["first"] == reference])
    return pd.concat([straight, turned]).sort_index()


def _mirrored(comparisons: pd.DataFrame) -> pd.DataFrame:
    """The same comparisons with first and second exchanged."""
    turned = comparisons.rename(columns=_exchanged)
    for name in ("difference", "loss_difference"):
        # subtracted from 0, because the negative of 0.0 would print as -0.0
        turned[name] = 0.0 - comparisons[name]
        turned[f"{name}_low"] = 0.0 - comparisons[f"{name}_high"]
        turned[f"{name}_high"] = 0.0 - comparisons[f"{name}_low"]
    turned["verdict"] = comparisons["verdict"].map(MIRRORED)
    return turned[comparisons.columns]


def _exchanged(column: str) -> str:
    for side, other in (("first", "second"), ("second", "first")):
        if column == side or column.startswith(f"{side}_"):
            return other + column.removeprefix(side)
    return column
