"""What is generated from the sources is up to date."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def load_generator():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


generator = load_generator()


@pytest.mark.parametrize("name", generator.GENERATED)
def test_a_generated_file_equals_its_source(name):
    assert (ROOT / name).read_text() == generator.GENERATED[name](), "run `make docs`"


def test_the_picture_plans_with_every_rule():
    rules = {rule for of_stage in generator.rules_by_stage().values() for rule in of_stage}
    planned = {rule for edge in generator.rule_edges() for rule in edge}
    assert rules - planned == {"record_settings"}, "only this one needs and feeds no other rule"


def test_what_follows_from_other_edges_is_not_drawn():
    chain = [("a", "b"), ("b", "c")]
    assert generator.without_shortcuts([*chain, ("a", "c")]) == chain


def test_two_rules_that_need_each_other_are_both_drawn():
    cycle = [("score", "transfer"), ("transfer", "score")]
    assert generator.without_shortcuts(cycle) == cycle
