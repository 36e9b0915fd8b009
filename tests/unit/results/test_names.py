"""What the name of a result says of it."""

from __future__ import annotations

import pytest

from workflow_scripts.results.names import (
    baselines_among,
    is_main,
    is_main_or_tuned,
    is_transferred,
    recipe_of,
    shots_after,
    source_of,
    swept_field,
    transferred,
    tuned,
    tuned_condition,
    without_source,
)


def test_a_plain_condition_is_its_own():
    assert is_main("sft")
    assert not is_transferred("sft")
    assert (recipe_of("sft"), without_source("sft"), source_of("sft")) == ("sft", "sft", "")


def test_a_transferred_variant_is_of_a_condition_and_of_a_task():
    name = "kl~alpha=0.1@mnli"
    assert is_transferred(name)
    assert not is_main(name)
    assert (recipe_of(name), without_source(name), source_of(name)) == (
        "kl",
        "kl~alpha=0.1",
        "mnli",
    )


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("kl~alpha=0.1", "alpha"),
        ("kl~adapter.rank=4@mnli", "adapter.rank"),
        ("kl~german", ""),
        ("kl", ""),
        ("8-shot", ""),
    ],
)
def test_a_variant_names_the_field_that_is_swept(name, field):
    assert swept_field(name) == field


@pytest.mark.parametrize("shots", [0, 4, 16])
def test_a_transferred_result_tells_its_source_and_its_demonstrations(shots):
    name = transferred("kl~alpha=0.1", "mnli-2-shot", shots)
    assert (without_source(name), source_of(name)) == ("kl~alpha=0.1", "mnli-2-shot")
    assert shots_after(name) == shots


def test_without_demonstrations_a_transferred_result_has_no_number():
    assert transferred("sft", "mnli", 0) == "sft@mnli"
    assert transferred("sft", "mnli", 4) == "sft@mnli@4-shot"


def test_a_tuned_result_is_of_the_condition_that_was_tuned():
    variant = "kl~layers=early"
    assert tuned_condition(tuned(variant)) == variant
    assert not is_main(tuned("kl"))
    assert (tuned_condition("kl"), tuned_condition("kl~tuned@mnli")) == ("", "")


def test_others_are_compared_with_the_baseline_and_with_the_baseline_tuned():
    assert baselines_among(["0-shot", "kl~tuned", "sft~tuned"], "sft") == ["sft~tuned"]
    assert baselines_among(["sft~tuned", "kl", "sft"], "sft") == ["sft", "sft~tuned"]
    assert baselines_among(["kl~tuned", "0-shot"], "sft") == []


@pytest.mark.parametrize(
    ("name", "is_shown"),
    [
        ("kl", True),
        ("kl~tuned", True),
        ("8-shot", True),
        ("kl~alpha=0.1", False),
        ("kl~alpha=0.1~tuned", False),
        ("kl@mnli", False),
    ],
)
def test_tables_show_main_and_tuned_conditions_at_once(name, is_shown):
    assert is_main_or_tuned(name) == is_shown
