"""Families: pairs by design, and those of experiments that declare none."""

from __future__ import annotations

import pytest

from workflow_scripts.config.sweeps import SweepSettings
from workflow_scripts.families import default_families, pairs_of

MEMBERS = ("a", "b", "c")


@pytest.mark.parametrize(
    ("design", "pairs"),
    [
        ("pairs", {("b", "a"), ("c", "a"), ("c", "b")}),
        ("first", {("b", "a"), ("c", "a")}),
        ("steps", {("b", "a"), ("c", "b"), ("c", "a")}),
    ],
)
def test_a_design_says_which_members_are_compared(design, pairs):
    assert set(pairs_of(MEMBERS, design)) == pairs


def test_a_single_step_is_the_whole():
    assert pairs_of(("a", "b"), "steps") == (("b", "a"),)


def test_the_main_family_begins_with_the_untouched_model_by_shots():
    found = default_families(["8-shot", "sft", "0-shot", "kl"], (), "sft")
    assert list(found) == ["main"]
    assert found["main"].members == ("0-shot", "8-shot", "sft", "kl")


def test_each_sweep_is_a_family_against_the_baseline():
    sweep = SweepSettings(condition="kl", field="weight", values=(0.5, 1.0))
    found = default_families(["0-shot", "sft", "kl", "kl~weight=1"], (sweep,), "sft")
    assert found["kl~weight"].members == ("sft", "kl", "kl~weight=1")
    assert found["kl~weight"].design == "first"
    assert "kl~weight=1" not in found["main"].members


def test_a_sweep_of_the_baseline_is_held_against_it():
    sweep = SweepSettings(condition="sft", field="learning_rate", values=(1e-4,))
    found = default_families(["0-shot", "sft", "sft~learning_rate=0.0001"], (sweep,), "sft")
    assert found["sft~learning_rate"].members == ("sft", "sft~learning_rate=0.0001")


def test_transferred_runs_are_a_family_against_the_untouched_model():
    found = default_families(["0-shot", "8-shot", "sft@echo", "kl@echo"], (), "sft")
    assert found["from-echo"].members == ("0-shot", "sft@echo", "kl@echo")
    assert found["main"].members == ("0-shot", "8-shot")


def test_transferred_runs_are_held_against_the_model_that_was_shown_as_much():
    results = ["0-shot", "4-shot", "8-shot", "sft@echo", "sft@echo@4-shot", "kl@echo@4-shot"]
    found = default_families(results, (), "sft")
    assert found["from-echo"].members == ("0-shot", "sft@echo")
    assert found["from-echo-4-shot"].members == ("4-shot", "sft@echo@4-shot", "kl@echo@4-shot")
    assert "after 4 demonstrations" in found["from-echo-4-shot"].question


def test_one_result_alone_is_no_family():
    assert default_families(["0-shot"], (), "sft") == {}
