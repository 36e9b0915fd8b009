"""Tests that a difference is no larger than a margin: not worse, and equivalent.

They share the estimates and standard errors of `statistics`, so that a verdict about a margin and
one about a difference are read from the same interval.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import stdtr, stdtrit

from workflow_scripts.results.statistics import Difference


def p_not_worse(difference: Difference, margin: float, items: int) -> float:
    """One-sided p against a true difference of `-margin` or less.

    For one pair of results of zeros and ones: Tango's score test for paired proportions (1998),
    McNemar's test at a margin of 0, without correction for continuity. Otherwise the t test of the
    difference. Of zeros and ones over several seeds or draws the p is at least that of as many
    items without a single disagreement: where nothing disagreed, a standard error of 0 would
    otherwise show any margin.

    difference: first minus second, where more is better.
    margin: above 0, in the same units.
    NaN where the difference was not tested.
    """
    if difference.note or math.isnan(difference.p):
        return math.nan
    if difference.binary and math.isinf(difference.df):
        return _score_p(difference, margin)
    distance = difference.estimate + margin
    error = difference.standard_error
    p = float(stdtr(difference.df, -distance / error)) if error > 0 else float(distance <= 0)
    if difference.binary:
        p = max(p, float(stdtr(math.inf, -math.sqrt(items * margin / (1 - margin)))))
    return p


def p_equivalent(difference: Difference, margin: float, items: int) -> float:
    """p against a true difference of `margin` or more, either way: two one-sided tests.

    The larger p of the two, which needs no correction (Schuirmann 1987).
    """
    ways = (difference, _turned(difference))
    return max(p_not_worse(way, margin, items) for way in ways)


def smallest_shown(
    difference: Difference, level: float, power: float, items: int, both_ways: bool
) -> float:
    """The smallest margin that would be shown with probability `power`, were there no difference.

    The usual approximation with the spread that was observed, as of `smallest_detectable`. Of
    zeros and ones it is never smaller than the margin that `items` without a disagreement show.

    level: of each one-sided test. NaN where there is no standard error.
    """
    shown = (1 + power) / 2 if both_ways else power
    quantile = stdtrit(difference.df, 1 - level)
    margin = (quantile + stdtrit(difference.df, shown)) * difference.standard_error
    floor = quantile**2 / (items + quantile**2) if difference.binary else 0.0
    return float(np.maximum(margin, floor))


def _turned(difference: Difference) -> Difference:
    """Of the second and the first."""
    return difference._replace(estimate=-difference.estimate)


def _score_p(difference: Difference, margin: float) -> float:
    """Tango 1998, equations 9 and 10, against a difference of `-margin`."""
    items, assumed = difference.observations, -margin
    disagreements = items * (items * difference.standard_error**2 + difference.estimate**2)
    balance = items * difference.estimate  # items that only the first has right, less the others
    only_second = (disagreements - balance) / 2
    # the share of those that is most likely if the true difference is the assumed one
    a = 2 * items
    b = (2 * items - balance) * assumed - disagreements
    c = -only_second * assumed * (1 - assumed)
    share = (math.sqrt(b * b - 4 * a * c) - b) / (2 * a)
    variance = items * (2 * share + assumed * (1 - assumed))
    return float(stdtr(math.inf, -(balance - items * assumed) / math.sqrt(variance)))
