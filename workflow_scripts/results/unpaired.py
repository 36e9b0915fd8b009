"""What two accuracies say without the answers behind them, as papers publish them.

Both were measured on the same items, but which of them each answered right is unknown. Intervals
and tests here treat the two as samples of different items. A paired test of the answers would be
narrower where the two are right about the same items, as models mostly are.

Accuracies lie in [0, 1]. Means over several runs or samples need not be whole numbers of items.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import bdtr, ndtri

from workflow_scripts.results.statistics import Interval


def newcombe_unpaired(first: float, second: float, items: int, confidence: float) -> Interval:
    """Interval of first minus second (Newcombe 1998, method 10 for independent proportions)."""
    from statsmodels.stats.proportion import confint_proportions_2indep

    low, high = confint_proportions_2indep(
        *_counts(first, second, items), method="newcomb", compare="diff", alpha=1 - confidence
    )
    return Interval(float(low), float(high))


def p_unpaired(first: float, second: float, items: int) -> float:
    """Two-sided score test of two independent proportions (Farrington and Manning 1990)."""
    return _score_p(first, second, items, value=0, alternative="two-sided")


def p_unpaired_not_worse(first: float, second: float, items: int, margin: float) -> float:
    """One-sided score test against a true difference of `-margin` or less."""
    return _score_p(first, second, items, value=-margin, alternative="larger")


def detectable_unpaired(
    first: float, second: float, items: int, level: float, power: float
) -> float:
    """The smallest true difference that is found at `level` with probability `power`.

    The usual approximation, at the mean of both accuracies.
    """
    mean = (first + second) / 2
    quantiles = float(ndtri(1 - level / 2) + ndtri(power))
    return quantiles * math.sqrt(2 * mean * (1 - mean) / items)


def most_disagreements(first: int, second: int, items: int, level: float) -> int:
    """The most items that only one of two may have right for a paired test to show a difference.

    The difference itself fixes how many more items one has right, not on how many they disagree:
    the fewer, the smaller the p of McNemar's exact test.

    first, second: numbers of items answered right.
    level: p must be below it.
    Returns 0 if nothing is shown even where they disagree as little as they can.
    """
    gain = abs(first - second)
    disagreements = np.arange(max(gain, 1), possible_disagreements(first, second, items) + 1, 2)
    p = 2 * bdtr((disagreements - gain) // 2, disagreements, 0.5)
    shown = disagreements[p < level]
    return int(shown.max()) if len(shown) else 0


def possible_disagreements(first: int, second: int, items: int) -> int:
    """The most items on which two can disagree that answer this many right."""
    return min(first, items - second) + min(second, items - first)


def _counts(first: float, second: float, items: int) -> tuple[float, int, float, int]:
    return first * items, items, second * items, items


def _score_p(first: float, second: float, items: int, value: float, alternative: str) -> float:
    from statsmodels.stats.proportion import test_proportions_2indep

    if first == second and value == 0:
        return 1.0
    with np.errstate(divide="ignore", invalid="ignore"):  # of ratios, which nobody asked for
        test = test_proportions_2indep(
            *_counts(first, second, items),
            value=value,
            method="score",
            compare="diff",
            alternative=alternative,
        )
    return float(test.pvalue)
