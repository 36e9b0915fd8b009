"""Searches in the config: what is refused and how, and what their slice holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from workflow_scripts.runtime.errors import InputError
from workflow_scripts.search.study import run_of
from workflow_scripts.study.load import load_study

ROOT = Path(__file__).parents[3]
RATE = {"learning_rate": {"low": 1e-5, "high": 1e-3, "log": True}}


@pytest.fixture
def config() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "config/config.yaml").read_text())


def with_search(config: dict[str, Any], **search: Any) -> dict[str, Any]:
    return config | {"searches": {"rates": {"condition": "layerwise", "fields": RATE} | search}}


def refusal(config: dict[str, Any], **search: Any) -> str:
    with pytest.raises(InputError) as caught:
        load_study(with_search(config, **search))
    return str(caught.value)


def of_field(config: dict[str, Any], field: str, **values: Any) -> str:
    message = refusal(config, fields={field: values})
    assert message.startswith(f"searches.rates.fields.{field}: ")
    return message.partition(": ")[2]


def test_the_runs_of_a_search_are_those_of_the_condition(config):
    slices = load_study(with_search(config, seed=7)).slices
    run = run_of(slices.search("rates"), {})
    assert run == slices.run("smollm2-135m", "plural", "layerwise", seed=7)


def test_a_search_changes_no_result_of_the_experiment(config):
    plain = load_study(config).slices.identity()
    assert load_study(with_search(config)).slices.identity() == plain


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("condition", "no condition named 'layerwize'; did you mean 'layerwise'?"),
        ("model", "no model named 'layerwize'; valid here: smollm2-135m"),
        ("task", "no task named 'layerwize'; valid here: plural"),
    ],
)
def test_an_unknown_name_is_refused(config, key, message):
    assert refusal(config, **{key: "layerwize"}) == f"searches.rates.{key}: {message}"


def test_one_of_several_models_must_be_named(config):
    config["models"]["other"] = config["models"]["smollm2-135m"]
    message = "searches.rates: set `model` and `task`: layerwise trains smollm2-135m on plural, "
    assert refusal(config) == message + "other on plural"
    study = load_study(with_search(config, model="other"))
    assert study.matrix.searched_run("rates") == ("other", "plural", "layerwise")


def test_a_model_that_the_condition_does_not_train_is_refused(config):
    config["models"]["other"] = config["models"]["smollm2-135m"]
    config["students"] = ["smollm2-135m"]
    assert refusal(config, model="other") == (
        "searches.rates: layerwise does not train this model on this task; change one"
    )


def test_an_unknown_field_is_refused(config):
    message = of_field(config, "wieght", low=0, high=1)
    assert message == "no field named 'wieght'; did you mean 'weight'?"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"low": 1, "high": 0.1}, "`low` must be below `high`, but is 1 ≥ 0.1"),
        ({"low": 0, "high": 0.1, "log": True}, "`log` needs a `low` above 0"),
        ({"low": 0.1}, "give `low` and `high`, or `choices`"),
        ({"low": 0.1, "choices": [0.1]}, "give either `choices` or `low` and `high`"),
        (
            {"low": 0, "high": 0.1},
            "cannot be 0.0: learning_rate: must be above 0 (given: 0.0)",
        ),
    ],
)
def test_values_that_cannot_be_are_refused(config, values, message):
    assert of_field(config, "learning_rate", **values) == message


def test_a_fraction_where_whole_numbers_belong_is_refused(config):
    assert "cannot be 2.5" in of_field(config, "adapter.rank", low=2.5, high=8)


@pytest.mark.parametrize(
    ("field", "value"), [("position", "prompt"), ("site", "ffn"), ("teacher", "other")]
)
def test_a_field_that_needs_other_targets_is_refused(config, field, value):
    message = of_field(config, field, choices=[value])
    assert message == "changes the teacher targets that are read; use a sweep"


def test_a_field_that_trains_nothing_is_refused(config):
    assert (
        of_field(config, "label", choices=["A"]) == "does not affect training; search another field"
    )
