from __future__ import annotations

import math

import pandas as pd
import pytest

from workflow_scripts.results.statistics import Interval
from workflow_scripts.tables.verdicts import (
    MARGIN_COLUMNS,
    against,
    verdict,
    verdict_of_amount,
    verdict_of_margin,
)


@pytest.mark.parametrize(
    ("interval", "p_holm", "expected"),
    [
        ((0.02, 0.10), 0.01, "better"),
        ((-0.10, -0.02), 0.01, "worse"),
        ((0.02, 0.10), 0.2, "not shown"),
        ((-0.01, 0.10), 0.01, "not shown"),
    ],
)
def test_a_difference_is_shown_only_by_p_value_and_interval_together(interval, p_holm, expected):
    assert verdict(Interval(*interval), p_holm, confidence=0.95) == expected


def test_the_confidence_decides_how_small_p_must_be():
    interval = Interval(0.02, 0.10)
    assert verdict(interval, 0.03, 0.95) == "better"
    assert verdict(interval, 0.03, 0.99) == "not shown"


def test_what_was_not_tested_is_not_shown():
    assert verdict(Interval(0.02, 0.10), math.nan, 0.95) == "not shown"


@pytest.mark.parametrize(
    ("interval", "p_holm", "expected"),
    [
        ((0.02, 0.10), 0.01, "more"),
        ((-0.10, -0.02), 0.01, "less"),
        ((-0.10, -0.02), 0.2, "not shown"),
    ],
)
def test_of_what_is_no_merit_there_is_more_or_less(interval, p_holm, expected):
    assert verdict_of_amount(Interval(*interval), p_holm, 0.95) == expected


@pytest.fixture
def comparisons() -> pd.DataFrame:
    """b against a, and c against b."""
    return pd.DataFrame(
        {
            "first": ["b", "c"],
            "second": ["a", "b"],
            "first_step": ["10", "20"],
            "second_step": ["0", "10"],
            "difference": [0.2, 0.1],
            "difference_low": [0.1, -0.1],
            "difference_high": [0.3, 0.3],
            "bootstrap_low": [0.11, -0.09],
            "bootstrap_high": [0.28, 0.29],
            "detectable": [0.15, 0.2],
            "loss_difference": [-1.0, 0.0],
            "loss_difference_low": [-1.5, 0.0],
            "loss_difference_high": [-0.5, 0.0],
            "verdict": ["better", "not shown"],
            "margin_asks": ["not worse", "not worse"],
            "margin": [0.02, 0.02],
            "margin_p": [0.001, 0.1],
            "margin_p_holm": [0.002, 0.1],
            "margin_verdict": ["not worse", "not shown"],
            "margin_detectable": [0.1, 0.1],
        }
    )


def test_that_one_is_not_worse_says_nothing_about_the_other(comparisons):
    turned, straight = (row for _, row in against(comparisons, "b").iterrows())
    assert turned[MARGIN_COLUMNS].isna().all()
    assert straight["margin_verdict"] == "not shown"


def test_what_is_equivalent_is_so_in_both_directions(comparisons):
    comparisons["margin_asks"] = "equivalent"
    assert against(comparisons, "b").iloc[0]["margin_p_holm"] == 0.002


@pytest.mark.parametrize(
    ("interval", "p_holm", "both_ways", "expected"),
    [
        ((-0.01, 0.05), 0.01, False, "not worse"),
        ((-0.01, 0.05), 0.03, False, "not shown"),  # half of what both sides of an interval leave
        ((-0.03, 0.05), 0.01, False, "not shown"),
        ((-0.01, 0.05), 0.01, True, "not shown"),
        ((-0.01, 0.01), 0.01, True, "equivalent"),
        ((-0.01, 0.01), math.nan, True, "not shown"),
    ],
)
def test_a_margin_is_kept_only_by_p_value_and_interval_together(
    interval, p_holm, both_ways, expected
):
    found = verdict_of_margin(Interval(*interval), p_holm, 0.95, 0.02, both_ways)
    assert found == expected


def test_comparisons_are_turned_so_that_the_reference_is_second(comparisons):
    turned = against(comparisons, "b")
    assert turned["first"].tolist() == ["a", "c"]
    assert turned["second"].tolist() == ["b", "b"]


def test_a_turned_comparison_says_the_opposite(comparisons):
    row = against(comparisons, "b").iloc[0]
    assert row[["verdict", "first_step", "second_step"]].tolist() == ["worse", "0", "10"]
    assert row[["difference", "difference_low", "difference_high"]].tolist() == [-0.2, -0.3, -0.1]
    assert row[["bootstrap_low", "bootstrap_high", "detectable"]].tolist() == [-0.28, -0.11, 0.15]
    assert row[["loss_difference_low", "loss_difference_high"]].tolist() == [0.5, 1.5]


def test_no_difference_is_turned_into_no_difference_without_a_sign(comparisons):
    turned = against(comparisons.assign(difference=0.0), "b")
    assert f"{turned['difference'].iloc[0]:+.1f}" == "+0.0"


def test_comparisons_without_the_reference_are_left_out(comparisons):
    assert against(comparisons, "a")["first"].tolist() == ["b"]
