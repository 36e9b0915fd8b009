"""ComparisonGroups: pairs by design, and those of experiments that declare none."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.study.conftest import refusal
from workflow_scripts.config.comparisons import ComparisonSettings, MarginAsked
from workflow_scripts.config.sweeps import SweepSettings
from workflow_scripts.study.comparison_groups import (
    default_groups,
    margin_of,
    pairs_among,
    pairs_of,
)
from workflow_scripts.study.load import load_study

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


def test_the_main_group_begins_with_the_base_model_by_shots():
    found = default_groups(["8-shot", "sft", "0-shot", "kl"], (), "sft")
    assert list(found) == ["main"]
    assert found["main"].members == ("0-shot", "8-shot", "sft", "kl")


def test_each_sweep_is_a_group_against_the_baseline():
    sweep = SweepSettings(condition="kl", field="weight", values=(0.5, 1.0))
    found = default_groups(["0-shot", "sft", "kl", "kl~weight=1"], (sweep,), "sft")
    assert found["kl~weight"].members == ("sft", "kl", "kl~weight=1")
    assert found["kl~weight"].design == "first"
    assert "kl~weight=1" not in found["main"].members


def test_a_sweep_of_the_baseline_is_held_against_it():
    sweep = SweepSettings(condition="sft", field="learning_rate", values=(1e-4,))
    found = default_groups(["0-shot", "sft", "sft~learning_rate=0.0001"], (sweep,), "sft")
    assert found["sft~learning_rate"].members == ("sft", "sft~learning_rate=0.0001")


def test_transferred_runs_are_a_group_against_the_base_model():
    found = default_groups(["0-shot", "8-shot", "sft@echo", "kl@echo"], (), "sft")
    assert found["from-echo"].members == ("0-shot", "sft@echo", "kl@echo")
    assert found["main"].members == ("0-shot", "8-shot")


def test_transferred_runs_are_held_against_the_model_that_was_shown_as_much():
    results = ["0-shot", "4-shot", "8-shot", "sft@echo", "sft@echo@4-shot", "kl@echo@4-shot"]
    found = default_groups(results, (), "sft")
    assert found["from-echo"].members == ("0-shot", "sft@echo")
    assert found["from-echo-4-shot"].members == ("4-shot", "sft@echo@4-shot", "kl@echo@4-shot")
    assert "after 4 demonstrations" in found["from-echo-4-shot"].question


def test_one_result_alone_is_no_group():
    assert default_groups(["0-shot"], (), "sft") == {}


# --- groups of an experiment


def test_comparisons_have_their_pairs(config):
    (group,) = load_study(config).groups.comparisons_of("smollm2-135m", "plural")
    assert len(group.pairs) == len(group.members) * (len(group.members) - 1) / 2
    assert group.pairs[0] == (group.members[1], group.members[0])


def test_a_group_keeps_the_members_that_a_model_has(config):
    config["models"]["other"] = config["models"]["smollm2-135m"]
    config["students"] = ["smollm2-135m"]
    config["comparisons"] = {
        "main": {"question": "?", "members": ["0-shot", "8-shot", "sft"]},
        "trained": {"question": "?", "members": ["sft", "layerwise"]},
    }
    study = load_study(config)
    assert [group.members for group in study.groups.of_pair("other", "plural")] == [
        ("0-shot", "8-shot")
    ]


def test_a_group_of_transferred_runs_is_not_about_the_task_that_trained_them(config):
    config["tasks"]["singular"] = config["tasks"]["plural"]
    config["transfer"] = {"plural": ["singular"]}
    config["comparisons"] = {
        "shots": {"question": "?", "members": ["0-shot", "8-shot"]},
        "main": {"question": "?", "members": ["0-shot", "8-shot", "sft"]},
        "elsewhere": {"question": "?", "members": ["0-shot", "8-shot", "sft@plural"]},
    }
    groups = load_study(config).groups.of_pair("smollm2-135m", "plural")
    assert [group.name for group in groups] == ["shots", "main"]


def swept_values(config: dict[str, Any], field: str, values: list[Any], *others: str):
    """The values of a group of a swept condition, its variants and other results."""
    study = load_study(
        config | {"sweeps": [{"condition": "distil", "field": field, "values": values}]}
    )
    variants = [name for name in study.experiment.conditions if "~" in name]
    return study.groups.swept_values(["distil", *variants, *others], "plural")


def test_a_swept_field_has_a_number_in_the_base_and_in_its_variants(nli):
    nli["conditions"]["distil"]["alpha"] = 0.5
    assert swept_values(nli, "alpha", [0.25, 0.75]) == {
        "distil": 0.5,
        "distil~alpha=0.25": 0.25,
        "distil~alpha=0.75": 0.75,
    }


def test_a_value_that_a_condition_does_not_give_is_the_shared_one(nli):
    found = swept_values(nli, "learning_rate", [1e-5], "pbft")
    assert found == {"distil": 2e-4, "distil~learning_rate=1e-05": 1e-5, "pbft": 2e-4}
    assert swept_values(nli, "adapter.rank", [4])["distil"] == 16


def test_results_that_have_no_such_field_have_no_number(nli):
    assert set(swept_values(nli, "label_kl.weight", [1.0], "pbft", "8-shot")) == {
        "distil",
        "distil~label_kl.weight=1",
    }


def test_demonstrations_count_as_items_that_were_trained_on(nli):
    assert swept_values(nli, "train_items", [8, 16], "pbft", "8-shot") == {
        "distil": 160,
        "distil~train_items=8": 8,
        "distil~train_items=16": 16,
        "pbft": 160,
        "8-shot": 8,
    }


def test_values_that_are_no_numbers_are_left_out(nli):
    assert swept_values(nli, "teacher", ["self"]) == {}


def test_results_of_several_swept_fields_have_no_common_number(nli):
    sweeps = [
        {"condition": "distil", "field": field, "values": [value]}
        for field, value in (("learning_rate", 1e-5), ("train_items", 8))
    ]
    study = load_study(nli | {"sweeps": sweeps})
    assert study.groups.swept_values(list(study.experiment.conditions), "plural") == {}
    assert study.groups.swept_values(["distil", "pbft"], "plural") == {}


@pytest.mark.parametrize("design", ["pairs", "first", "steps"])
@pytest.mark.parametrize("count", [2, 3, 7])
def test_pairs_are_counted_without_listing_them(design, count):
    assert pairs_among(count, design) == len(pairs_of([str(n) for n in range(count)], design))


# --- margins ------------------------------------------------------------------------------


def settings_with(**changes) -> ComparisonSettings:
    own = {"question": "?", "members": ["sft", "kl"], "design": "first"}
    return ComparisonSettings.model_validate(own | changes)


@pytest.mark.parametrize(("asked", "both_ways"), [("non_inferior", False), ("equivalent", True)])
def test_a_margin_is_written_in_points(asked, both_ways):
    found = margin_of(settings_with(**{asked: {"margin": 2}}))
    assert found == MarginAsked(margin=0.02, both_ways=both_ways)
    assert margin_of(settings_with()) is None


def test_not_worse_needs_a_direction():
    with pytest.raises(ValueError, match="needs `design: first` or `steps`"):
        settings_with(non_inferior={"margin": 2}, design="pairs")
    assert margin_of(settings_with(equivalent={"margin": 2}, design="pairs")) is not None


def test_one_of_both_is_asked():
    with pytest.raises(ValueError, match="not both"):
        settings_with(non_inferior={"margin": 2}, equivalent={"margin": 2})


@pytest.mark.parametrize("margin", [0, -1, 100])
def test_a_margin_lies_between_nothing_and_everything(margin):
    with pytest.raises(ValueError, match="margin"):
        settings_with(equivalent={"margin": margin})


def test_jobs_receive_the_margin_of_their_group(config):
    members = {"main": {"question": "?", "members": ["0-shot", "sft"], "design": "first"}}
    members["main"]["non_inferior"] = {"margin": 3}
    study = load_study(config | {"comparisons": members})
    model, task = next(iter(study.experiment.models)), next(iter(study.experiment.tasks))
    (group,) = study.groups.comparisons_of(model, task)
    assert group.margin == MarginAsked(margin=0.03, both_ways=False)


@pytest.mark.parametrize(
    ("members", "design", "pair"),
    [
        (["0-shot", "8-shot", "sft", "kl", "hidden"], "pairs", ("kl", "sft")),
        (["0-shot", "kl", "hidden"], "pairs", ("kl", "0-shot")),
        (["8-shot", "sft"], "pairs", ("8-shot", "sft")),
        (["0-shot", "8-shot"], "pairs", ("8-shot", "0-shot")),
        (["sft", "kl", "hidden"], "first", ("kl", "sft")),
        (["sft", "kl", "hidden"], "steps", ("hidden", "sft")),
    ],
)
def test_the_main_pair_answers_the_question_of_the_group(config, members, design, pair):
    config["sweeps"] = []
    kl = next(iter(config["conditions"].values()))
    config["conditions"] = {"sft": config["conditions"]["sft"], "kl": kl, "hidden": kl}
    config["comparisons"] = {"g": {"question": "?", "members": members, "design": design}}
    (found,) = load_study(config).slices.main_pairs("smollm2-135m", "plural")
    assert (found.group, found.first, found.second) == ("g", *pair)


# --- tuned conditions ---------------------------------------------------------------------

CHOSEN = {"field": "learning_rate", "values": [1e-3], "choose": True}


@pytest.fixture
def tuned(config) -> dict[str, Any]:
    return config | {"sweeps": [CHOSEN | {"conditions": ["sft", "layerwise"]}]}


def group_of(members: list[str]) -> dict[str, Any]:
    return {"question": "?", "members": members}


def test_tuned_conditions_are_a_group_of_all_pairs(tuned):
    """After the default groups, and after those of the config."""
    for declared in ({}, {"main": group_of(["0-shot", "sft"])}):
        groups = load_study(tuned | {"comparisons": declared}).groups
        *_, last = groups.comparisons_of("smollm2-135m", "plural")
        assert (last.name, last.pairs) == ("tuned", (("layerwise~tuned", "sft~tuned"),))
        assert not any("~tuned" in name for name in groups.all["main"].members)


def test_a_group_of_the_config_with_tuned_conditions_takes_the_place_of_theirs(tuned):
    members = ["0-shot", "8-shot", "sft~tuned", "layerwise~tuned"]
    study = load_study(tuned | {"comparisons": {"fair": group_of(members)}})
    (group,) = study.groups.comparisons_of("smollm2-135m", "plural")
    assert (group.name, list(group.members)) == ("fair", members)
    (pair,) = study.slices.main_pairs("smollm2-135m", "plural")
    assert (pair.first, pair.second) == ("layerwise~tuned", "sft~tuned")
    assert study.catalog.figures_of("smollm2-135m", "plural")[-1] == "fair/forest_plot"


def test_one_tuned_condition_is_no_group_of_its_own(config):
    study = load_study(config | {"sweeps": [CHOSEN | {"condition": "sft"}]})
    assert "tuned" not in study.groups.all
    assert "sft~tuned" in study.matrix.names


def test_the_name_of_the_group_of_tuned_conditions_is_taken(tuned):
    assert refusal(tuned | {"comparisons": {"tuned": group_of(["0-shot", "sft"])}}) == (
        "comparisons.tuned: is the name of the group of tuned conditions; name these as its "
        "members (<condition>~tuned), or rename it"
    )
    load_study(tuned | {"comparisons": {"tuned": group_of(["0-shot", "sft~tuned"])}})


def test_a_condition_that_no_sweep_chooses_for_is_not_tuned(tuned):
    where = "comparisons.main.members"
    assert refusal(tuned | {"comparisons": {"main": group_of(["0-shot", "logit-kl~tuned"])}}) == (
        f"{where}: 'logit-kl~tuned' needs a sweep of logit-kl with `choose: true`"
    )
    assert refusal(tuned | {"comparisons": {"main": group_of(["0-shot", "stf~tuned"])}}) == (
        f"{where}: no result named 'stf~tuned'; did you mean 'sft~tuned'?"
    )
