"""The statistics of published accuracies, against known values and against what they bound."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from workflow_scripts.results.unpaired import (
    detectable_unpaired,
    most_disagreements,
    newcombe_unpaired,
    p_unpaired,
    p_unpaired_not_worse,
    possible_disagreements,
)


def test_the_interval_of_a_gain_on_gsm8k():
    # Qwen3-1.7B, 1319 items, one seed
    low, high = newcombe_unpaired(0.7271, 0.6429, 1319, 0.95)
    assert (round(100 * low, 1), round(100 * high, 1)) == (4.9, 11.9)


def test_the_interval_of_its_control():
    low, high = newcombe_unpaired(0.7271 + 0.002, 0.7271, 1319, 0.95)
    assert (round(100 * low, 1), round(100 * high, 1)) == (-3.2, 3.6)


def test_the_interval_of_newcombe_1998():
    # table II, row (b), method 10: 9/10 against 3/10
    low, high = newcombe_unpaired(0.9, 0.3, 10, 0.95)
    assert (low, high) == pytest.approx((0.1705, 0.8090), abs=5e-5)


def test_p_agrees_with_the_interval_about_zero():
    for second in np.arange(0.02, 0.98, 0.01):
        low, high = newcombe_unpaired(0.5, second, 200, 0.95)
        p = p_unpaired(0.5, second, 200)
        if not 0.03 < p < 0.07:  # two methods, which differ slightly
            assert (p < 0.05) == (low > 0 or high < 0), second


@pytest.mark.parametrize("accuracy", [0.0, 0.5, 1.0])
def test_equal_accuracies_show_nothing(accuracy):
    assert p_unpaired(accuracy, accuracy, 50) == 1


def test_all_right_against_none_right_is_shown():
    assert p_unpaired(1, 0, 10) < 0.001


def test_not_worse_needs_items():
    few, many = (p_unpaired_not_worse(0.8, 0.8, items, 0.03) for items in (200, 20_000))
    assert few > 0.2
    assert many < 0.001


def test_what_is_detectable_is_found_as_often_as_promised():
    items, second = 400, 0.5
    gain = detectable_unpaired(second + 0.05, second - 0.05, items, 0.05, 0.8)
    generator = np.random.default_rng(0)
    pairs = generator.binomial(items, [second + gain / 2, second - gain / 2], (400, 2)) / items
    found = np.mean([p_unpaired(*pair, items) < 0.05 for pair in pairs])
    assert found == pytest.approx(0.8, abs=0.06)


@pytest.mark.parametrize(("first", "second"), [(60, 45), (45, 60), (52, 48), (99, 90)])
def test_one_more_pair_of_disagreements_would_no_longer_show_it(first, second):
    def p(disagreements):
        against = (disagreements - abs(first - second)) // 2
        return binomtest(against, disagreements).pvalue

    most = most_disagreements(first, second, 100, 0.05)
    fewest = abs(first - second)
    if not most:
        assert p(fewest) >= 0.05
        return
    assert p(most) < 0.05
    if most + 2 <= possible_disagreements(first, second, 100):
        assert p(most + 2) >= 0.05


def test_five_more_right_answers_never_show_a_difference():
    assert most_disagreements(55, 50, 100, 0.05) == 0


def test_equal_counts_never_show_a_difference():
    assert most_disagreements(50, 50, 100, 0.05) == 0


def test_the_most_disagreements_possible():
    assert possible_disagreements(60, 45, 100) == 55 + 40
    assert possible_disagreements(100, 40, 100) == 60


def test_a_clear_difference_is_shown_however_the_answers_pair():
    first, second, items = 700, 400, 1000
    most = most_disagreements(first, second, items, 0.05)
    assert most == possible_disagreements(first, second, items)
    against = (most - (first - second)) // 2
    assert 2 * binom.cdf(against, most, 0.5) < 0.05
