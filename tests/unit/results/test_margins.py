"""Tests of a margin: no worse, and equivalent."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from workflow_scripts.results.margins import p_equivalent, p_not_worse, smallest_shown
from workflow_scripts.results.statistics import (
    Difference,
    crossed_difference,
    exact_mcnemar,
    paired_difference,
    paired_mean_difference,
)


def pair(only_first: int, only_second: int, items: int) -> Difference:
    """Of two results on so many items, of which the first or the second alone has some right."""
    first, second = np.zeros((2, items), dtype=bool)
    first[:only_first] = True
    second[only_first : only_first + only_second] = True
    return paired_difference(first, second, 0.95)


def score_by_search(only_first: int, only_second: int, items: int, margin: float) -> float:
    """p of the score test, with the most likely share under the null found numerically."""

    def unlikely(share: float) -> float:
        other, rest = share - margin, 1 - 2 * share + margin
        return -(
            only_first * math.log(other)
            + only_second * math.log(share)
            + (items - only_first - only_second) * math.log(rest)
        )

    bounds = (margin + 1e-12, (1 + margin) / 2 - 1e-12)
    share = minimize_scalar(unlikely, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x
    variance = items * (2 * share - margin * (1 + margin))
    return float(norm.sf((only_first - only_second + items * margin) / math.sqrt(variance)))


@pytest.mark.parametrize("counts", [(10, 14, 100, 0.05), (3, 1, 50, 0.1), (30, 45, 200, 0.02)])
def test_the_score_test_is_that_of_the_most_likely_share_under_the_null(counts):
    only_first, only_second, items, margin = counts
    found = p_not_worse(pair(only_first, only_second, items), margin, items)
    assert found == pytest.approx(score_by_search(*counts), rel=1e-5)


def test_towards_no_margin_it_is_mcnemars_test():
    # one-sided, without correction for continuity: close to the exact test of many disagreements
    found = p_not_worse(pair(260, 200, 2000), 1e-9, 2000)
    first = np.repeat([True, False], [260, 1740])
    second = np.concatenate([np.zeros(260, bool), np.ones(200, bool), np.zeros(1540, bool)])
    assert found == pytest.approx(norm.sf(60 / math.sqrt(460)), rel=1e-4)
    assert found == pytest.approx(exact_mcnemar(first, second) / 2, rel=0.2)


def test_a_wider_margin_is_shown_more_easily():
    p_values = [p_not_worse(pair(10, 14, 100), margin, 100) for margin in (0.01, 0.05, 0.1, 0.2)]
    assert p_values == sorted(p_values, reverse=True)


def test_results_without_a_disagreement_show_only_what_their_items_can():
    assert p_not_worse(pair(0, 0, 50), 0.02, 50) > 0.025
    assert p_not_worse(pair(0, 0, 500), 0.02, 500) < 0.025


def test_seeds_add_nothing_to_items_without_a_disagreement():
    never = crossed_difference(np.zeros((3, 50)), 0.95)
    assert never.standard_error == 0
    assert p_not_worse(never, 0.02, 50) == pytest.approx(p_not_worse(pair(0, 0, 50), 0.02, 50))


def test_graded_scores_are_tested_by_the_t_test_of_their_difference():
    generator = np.random.default_rng(0)
    first, second = generator.random((2, 200))
    difference = paired_mean_difference(first, second, 0.95)
    t = (difference.estimate + 0.1) / difference.standard_error
    assert p_not_worse(difference, 0.1, 200) == pytest.approx(norm.sf(t), abs=2e-3)


def test_equivalence_is_the_weaker_of_both_directions():
    difference = pair(10, 14, 100)
    turned = pair(14, 10, 100)
    both = p_not_worse(difference, 0.1, 100), p_not_worse(turned, 0.1, 100)
    assert p_equivalent(difference, 0.1, 100) == max(both) == both[0]
    assert p_equivalent(turned, 0.1, 100) == max(both)


def test_what_was_not_tested_has_no_p():
    untested = paired_mean_difference(np.zeros(1), np.zeros(1), 0.95)
    assert math.isnan(p_not_worse(untested, 0.1, 1))
    assert math.isnan(p_equivalent(untested, 0.1, 1))


@pytest.mark.parametrize("both_ways", [False, True])
def test_the_smallest_margin_is_shown_with_its_power_where_there_is_no_difference(both_ways):
    generator = np.random.default_rng(1)
    items, shown = 300, []
    margins = []
    for _ in range(400):
        first, second = generator.random((2, items)) < [[0.7], [0.7]]
        difference = paired_difference(first, second, 0.95)
        margins.append(smallest_shown(difference, 0.025, 0.8, items, both_ways))
    margin = float(np.median(margins))
    test = p_equivalent if both_ways else p_not_worse
    for _ in range(400):
        first, second = generator.random((2, items)) < [[0.7], [0.7]]
        shown.append(test(paired_difference(first, second, 0.95), margin, items) < 0.025)
    assert np.mean(shown) == pytest.approx(0.8, abs=0.06)


def test_it_is_never_smaller_than_what_items_without_a_disagreement_show():
    least = smallest_shown(pair(0, 0, 100), 0.025, 0.8, 100, both_ways=False)
    assert p_not_worse(pair(0, 0, 100), least, 100) == pytest.approx(0.025, rel=1e-6)
