"""What messages quote and suggest."""

from __future__ import annotations

from workflow_scripts.runtime.wording import hint, shortened


def test_a_near_name_is_a_guess():
    assert hint("training", ["terms", "train_on", "models"]) == "did you mean 'train_on'?"


def test_without_a_near_name_all_are_listed():
    assert hint("x", ["terms", "train_on"]) == "valid here: terms, train_on"
    assert hint("x", []) == "none is defined"
    assert hint("x", [1, None]) == "valid here: 1, None"


def test_of_very_many_names_some_are_listed():
    told = hint("x", [f"condition-{number}" for number in range(2000)])
    assert told.endswith("condition-39, … (2,000 in all)")


def test_a_long_value_is_cut_and_stays_on_one_line():
    told = shortened("a\n" * 200)
    assert len(told) == 60
    assert told.startswith("'a\\na")
    assert told.endswith("…'")
