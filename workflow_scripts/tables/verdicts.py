"""Verdicts of comparisons, and the one rule that gives them."""

from __future__ import annotations

import pandas as pd

from workflow_scripts.results.statistics import Interval

BETTER = "better"
WORSE = "worse"
MORE = "more"
LESS = "less"
NOT_SHOWN = "not shown"
NOT_WORSE = "not worse"
EQUIVALENT = "equivalent"
GAINED = "gained"
FORGOTTEN = "forgotten"
# of comparisons.csv, in groups that ask about a margin
MARGIN_COLUMNS = [
    "margin_asks",
    "margin",
    "margin_p",
    "margin_p_holm",
    "margin_verdict",
    "margin_detectable",
]
MIRRORED = {BETTER: WORSE, WORSE: BETTER, MORE: LESS, LESS: MORE, NOT_SHOWN: NOT_SHOWN}


def verdict(interval: Interval, p_holm: float, confidence: float) -> str:
    """What is shown about the first of two conditions, where more is better: accuracy.

    A difference is shown when its corrected p-value is below `1 - confidence` and its interval
    excludes 0; everything else is not shown, which is not the same as equal. What was not tested
    (`p_holm` is NaN) is not shown either.
    """
    return _word(interval, p_holm, confidence, BETTER, WORSE)


def verdict_of_amount(interval: Interval, p_holm: float, confidence: float) -> str:
    """The verdict on a quantity where more is not better: drift."""
    return _word(interval, p_holm, confidence, MORE, LESS)


def verdict_of_margin(
    interval: Interval, p_holm: float, confidence: float, margin: float, both_ways: bool
) -> str:
    """Whether the first of two conditions is less than the margin worse, or differs by less.

    It is shown when the corrected one-sided p-value is below half of `1 - confidence`, as each end
    of the interval is, and the interval lies above `-margin`; for `both_ways`, below it too.
    """
    within = interval.low > -margin and (interval.high < margin or not both_ways)
    if not (p_holm < (1 - confidence) / 2 and within):
        return NOT_SHOWN
    return EQUIVALENT if both_ways else NOT_WORSE


def of_retention(word: str) -> str:
    """A `verdict` of a trained model against its base model, on a task it was not trained on."""
    return {BETTER: GAINED, WORSE: FORGOTTEN}.get(word, word)


def _word(interval: Interval, p_holm: float, confidence: float, above: str, below: str) -> str:
    # written so that NaN, which is below nothing, shows nothing
    if not (p_holm < 1 - confidence and interval.excludes_zero):
        return NOT_SHOWN
    return above if interval.low > 0 else below


def against(comparisons: pd.DataFrame, reference: str) -> pd.DataFrame:
    """The comparisons that `reference` takes part in, turned so that it is the second.

    comparisons: rows of one group of comparisons.csv; a pair may be in several groups.
    """
    straight = comparisons[comparisons["second"] == reference]
    turned = _mirrored(comparisons[comparisons["first"] == reference])
    return pd.concat([straight, turned]).sort_index()


def _mirrored(comparisons: pd.DataFrame) -> pd.DataFrame:
    """The same comparisons with first and second exchanged."""
    turned = comparisons.rename(columns=_exchanged)
    # subtracted from 0, because the negative of 0.0 would print as -0.0
    for name in ("difference", "loss_difference"):
        turned[name] = 0.0 - comparisons[name]
    for name in ("difference", "bootstrap", "loss_difference"):
        turned[f"{name}_low"] = 0.0 - comparisons[f"{name}_high"]
        turned[f"{name}_high"] = 0.0 - comparisons[f"{name}_low"]
    turned["verdict"] = comparisons["verdict"].map(MIRRORED)
    # that one is not worse says nothing about the other
    one_way = comparisons["margin_asks"] == NOT_WORSE
    turned.loc[one_way, MARGIN_COLUMNS] = None
    return turned[comparisons.columns]


def _exchanged(column: str) -> str:
    for side, other in (("first", "second"), ("second", "first")):
        if column == side or column.startswith(f"{side}_"):
            return other + column.removeprefix(side)
    return column
