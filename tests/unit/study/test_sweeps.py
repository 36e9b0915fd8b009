"""Sweeps written out as conditions and tasks with readable names."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from workflow_scripts.runtime.errors import InputError
from workflow_scripts.study.load import load_study
from workflow_scripts.training.fields import field_of_condition

ROOT = Path(__file__).parents[3]


@pytest.fixture
def config() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "config/config.yaml").read_text())


def swept(config: dict[str, Any], **sweep: Any) -> Any:
    return load_study(config | {"sweeps": [sweep]}).experiment


def refusal(config: dict[str, Any], **sweep: Any) -> str:
    with pytest.raises(InputError) as caught:
        swept(config, **sweep)
    return str(caught.value)


def test_a_sweep_over_a_weight_makes_one_condition_for_each_value(config):
    conditions = swept(
        config, condition="layerwise", field="weight", values=[0.1, 0.5, 1, 2]
    ).conditions
    added = {name: conditions[name].terms[1].weight for name in conditions if "~" in name}
    assert added == {
        "layerwise~weight=0.1": 0.1,
        "layerwise~weight=1": 1,
        "layerwise~weight=2": 2,
    }


def test_a_value_that_the_base_has_is_the_base(config):
    conditions = swept(config, condition="layerwise", field="weight", values=[0.5]).conditions
    assert not [name for name in conditions if "~" in name]


@pytest.mark.parametrize("given", ["2e-4", 2e-4])
def test_a_number_that_yaml_reads_as_text_is_that_number(config, given):
    """YAML 1.1 reads 1e-4, without a point, as text."""
    config["conditions"]["sft"]["learning_rate"] = given
    conditions = swept(
        config, condition="sft", field="learning_rate", values=["1e-4", "2e-4"]
    ).conditions
    rates = {name: each.learning_rate for name, each in conditions.items() if "sft" in name}
    assert rates == {"sft": 2e-4, "sft~learning_rate=1e-4": 1e-4}


def test_terms_that_are_no_list_are_left_to_validation(config):
    config["conditions"]["sft"]["terms"] = 3
    assert refusal(config, condition="sft", field="weight", values=[1]).startswith("sweeps.0.field")


def test_only_the_field_differs(config):
    config["conditions"]["layerwise"]["label"] = "C"
    conditions = swept(config, condition="layerwise", field="layers", values=["early"]).conditions
    base, variant = conditions["layerwise"], conditions["layerwise~layers=early"]
    expected = base.model_dump() | {"label": None}
    expected["terms"] = [base.terms[0].model_dump(), base.terms[1].model_dump()]
    expected["terms"][1]["layers"] = "early"
    assert variant.model_dump() == type(base).model_validate(expected).model_dump()


@pytest.mark.parametrize(
    ("field", "value", "read"),
    [
        ("teacher", "zero-shot", lambda c: c.teacher),
        ("learning_rate", 0.001, lambda c: c.learning_rate),
        ("cross_entropy.weight", 0.25, lambda c: c.terms[0].weight),
        ("hidden.weight", 0.25, lambda c: c.terms[1].weight),
        ("adapter.rank", 4, lambda c: c.adapter.rank),
    ],
)
def test_fields_of_a_condition_its_terms_and_its_adapter(config, field, value, read):
    conditions = swept(config, condition="layerwise", field=field, values=[value]).conditions
    (name,) = [name for name in conditions if "~" in name]
    assert name == f"layerwise~{field}={value:g}" if field != "teacher" else "zero-shot" in name
    assert read(conditions[name]) == value


def test_a_swept_adapter_keeps_the_shared_adapters_other_fields(config):
    config["training"]["adapter"]["alpha"] = 64
    conditions = swept(config, condition="sft", field="adapter.rank", values=[4]).conditions
    assert conditions["sft~adapter.rank=4"].adapter.alpha == 64


def test_a_task_is_swept_by_the_path_of_a_key(config):
    tasks = swept(config, task="plural", field="data.seed", values=[1, 2]).tasks
    assert {name: task.data.seed for name, task in tasks.items()} == {
        "plural": 0,
        "plural~seed=1": 1,
        "plural~seed=2": 2,
    }


def test_named_values_name_the_variants(config):
    german = dict.fromkeys(("demonstrations", "train", "validation", "test"), "de")
    tasks = swept(config, task="plural", field="data.splits", values={"german": german}).tasks
    assert tasks["plural~german"].data.splits.test == "de"


def test_a_written_out_config_stays_as_it_is(config):
    once = swept(config, condition="layerwise", field="weight", values=[1])
    assert load_study(once.model_dump(mode="json")).experiment == once


def test_the_given_config_is_not_changed(config):
    before = copy.deepcopy(config)
    swept(config, condition="layerwise", field="weight", values=[1])
    assert config == before


def test_a_weight_alone_is_that_of_the_distillation_term(config):
    config["tasks"]["plural"]["data"]["choices"] = ["A", "B"]
    config["conditions"]["layerwise"]["terms"][:1] = [{"objective": "label_cross_entropy"}]
    conditions = swept(config, condition="layerwise", field="weight", values=[2]).conditions
    assert [term.weight for term in conditions["layerwise~weight=2"].terms] == [1, 2]


@pytest.mark.parametrize(
    ("field", "value"),
    [("teacher", "few-shot"), ("weight", 0.5), ("cross_entropy.weight", 3), ("label", None)],
)
def test_the_value_of_a_field_is_where_a_sweep_would_write_it(field, value):
    terms = [
        {"objective": "cross_entropy", "weight": 3},
        {"objective": "hidden", "weight": 0.5},
    ]
    assert field_of_condition({"teacher": "few-shot", "terms": terms}, field) == value


def test_a_field_that_a_condition_cannot_have_has_no_value():
    with pytest.raises(KeyError, match="no field named 'temperature'"):
        field_of_condition({"terms": [{"objective": "cross_entropy"}]}, "temperature")


def test_an_unknown_field_is_refused_with_the_nearest(config):
    message = refusal(config, condition="layerwise", field="wieght", values=[1])
    assert message == "sweeps.0.field: no field named 'wieght'; did you mean 'weight'?"


def test_a_field_of_no_term_of_the_condition_is_refused(config):
    message = refusal(config, condition="sft", field="temperature", values=[1])
    assert message.startswith("sweeps.0.field: no field named 'temperature'; valid here: ")


def test_an_unknown_condition_is_refused_with_the_nearest(config):
    message = refusal(config, condition="layer-wise", field="weight", values=[1])
    assert message == "sweeps.0: no condition named 'layer-wise'; did you mean 'layerwise'?"


def test_a_field_that_several_terms_have_must_be_told_apart(config):
    config["conditions"]["layerwise"]["terms"].append(config["conditions"]["logit-kl"]["terms"][1])
    message = refusal(config, condition="layerwise", field="weight", values=[1])
    assert message == (
        "sweeps.0.field: several terms have 'weight'; give one of hidden.weight, logit_kl.weight"
    )


def test_a_value_that_does_not_fit_is_refused_where_it_would_stand(config):
    message = refusal(config, condition="layerwise", field="weight", values=[-1])
    assert message.startswith("conditions.layerwise~weight=-1.terms.1.weight: ")


def test_a_sweep_varies_a_condition_or_a_task(config):
    assert refusal(config, field="weight", values=[1]) == (
        "sweeps.0: give either `condition`, `conditions` or `task`"
    )
    message = refusal(config, condition="sft", conditions=["sft"], field="weight", values=[1])
    assert message == "sweeps.0: give either `condition`, `conditions` or `task`"


def test_a_sweep_over_several_conditions_is_one_of_each(config):
    rates = {"field": "learning_rate", "values": [1e-4, 1e-3]}
    arms = ["sft", "layerwise"]
    together = swept(config, conditions=arms, **rates)
    apart = load_study(config | {"sweeps": [{"condition": arm} | rates for arm in arms]}).experiment
    assert together.conditions == apart.conditions
    assert {name for name in together.conditions if "~" in name} == {
        f"{arm}~learning_rate={rate}" for arm in arms for rate in ("0.0001", "0.001")
    }
    groups = [load_study(config | {"sweeps": s.model_dump()["sweeps"]}) for s in (together, apart)]
    assert groups[0].groups.all == groups[1].groups.all


def test_the_learning_rate_that_a_condition_has_from_training_makes_no_variant(config):
    shared = config["training"]["learning_rate"]
    config["conditions"]["layerwise"]["learning_rate"] = 1e-3
    conditions = swept(
        config, conditions=["sft", "layerwise"], field="learning_rate", values=[shared, 1e-3]
    ).conditions
    assert {name for name in conditions if "~" in name} == {
        "sft~learning_rate=0.001",
        f"layerwise~learning_rate={shared}",
    }


def test_an_arm_that_does_not_exist_or_lacks_the_field_is_named(config):
    message = refusal(config, conditions=["sft", "layer"], field="learning_rate", values=[1])
    assert message.startswith("sweeps.0.conditions.1: no condition named 'layer'; did you mean")
    message = refusal(config, conditions=["layerwise", "sft"], field="hidden.weight", values=[1])
    assert message.startswith("sweeps.0.conditions.1: no field named 'hidden.weight'")
    message = refusal(config, conditions=["sft", "sft"], field="learning_rate", values=[1])
    assert message.startswith("sweeps.0.conditions: ")


def test_values_that_are_equal_in_six_digits_are_two_variants(config):
    values = [0.1234567, 0.1234568]
    conditions = swept(config, condition="layerwise", field="weight", values=values).conditions
    assert [c.terms[1].weight for name, c in conditions.items() if "~" in name] == values


@pytest.mark.parametrize(
    ("values", "pair"),
    [([1, 1], "1 and 1"), ([1, 1.0], "1 and 1.0"), ([1e-4, "1e-4"], "0.0001 and '1e-4'")],
)
def test_a_value_that_is_there_twice_is_refused(config, values, pair):
    assert refusal(config, condition="layerwise", field="weight", values=values) == (
        f"sweeps.0.values: {pair} are one value; remove one, or give both names (`name: value`)"
    )


def test_a_value_that_gives_no_name_is_refused(config):
    message = refusal(config, condition="layerwise", field="teacher", values=["few shot"])
    assert message.startswith("sweeps.0.values: 'few shot' gives no name of at most 100 letters")
    message = refusal(config, condition="layerwise", field="weight", values={"x" * 95: 1})
    assert message.startswith("sweeps.0.values: 1 gives no name of at most 100 letters")


def test_two_sweeps_that_would_make_one_name_are_refused(config):
    config["sweeps"] = [{"condition": "layerwise", "field": "weight", "values": {"x": 2}}]
    config["sweeps"].append({"condition": "layerwise", "field": "layers", "values": {"x": "early"}})
    with pytest.raises(
        InputError, match=r"^sweeps\.1\.values: would make 'layerwise~x', but another"
    ):
        load_study(config)


RATES = {"field": "learning_rate", "values": [1e-4, 1e-3]}


def test_a_tuned_condition_has_itself_and_its_variants_as_candidates(config):
    sweep = {"conditions": ["sft", "layerwise"], "choose": True} | RATES
    study = load_study(config | {"sweeps": [sweep]})
    assert study.groups.tuned_of("smollm2-135m", "plural") == {
        arm: {
            arm: "learning_rate=0.0002",
            f"{arm}~learning_rate=0.0001": "learning_rate=0.0001",
            f"{arm}~learning_rate=0.001": "learning_rate=0.001",
        }
        for arm in ("sft", "layerwise")
    }
    assert "tuning" in study.tables.names


def test_sweeps_of_one_condition_make_one_choice_among_all_their_variants(config):
    sweeps = [
        {"conditions": ["sft", "layerwise"], "choose": True} | RATES,
        {"condition": "layerwise", "field": "weight", "values": [1.5], "choose": True},
        {"condition": "layerwise", "field": "layers", "values": ["early"]},
    ]
    tuned = load_study(config | {"sweeps": sweeps}).groups.tuned_of("smollm2-135m", "plural")
    assert list(tuned["layerwise"].values()) == [
        "learning_rate=0.0002, weight=0.5",
        "learning_rate=0.0001",
        "learning_rate=0.001",
        "weight=1.5",
    ]
    assert len(tuned["sft"]) == 3


def test_variants_with_names_are_told_by_them(config):
    """A list of terms is too long to tell what the condition itself has."""
    terms = {"alone": config["conditions"]["layerwise"]["terms"][1:]}
    sweep = {"condition": "layerwise", "field": "terms", "values": terms, "choose": True}
    study = load_study(config | {"sweeps": [sweep]})
    (candidates,) = study.groups.tuned_of("smollm2-135m", "plural").values()
    assert candidates == {"layerwise": "unchanged", "layerwise~alone": "alone"}


def test_nothing_is_chosen_where_no_sweep_asks_for_it(config):
    study = load_study(config | {"sweeps": [{"conditions": ["sft", "layerwise"]} | RATES]})
    assert study.groups.tuned_of("smollm2-135m", "plural") == {}
    assert "tuning" not in study.tables.names


def test_variants_of_a_task_are_not_chosen_from(config):
    message = refusal(config, task="plural", field="data.subset", values=["a"], choose=True)
    assert message == "sweeps.0: `choose` is for variants of a condition, not of a task"


def test_a_choice_needs_something_on_validation_to_choose_by(config):
    config["evaluation"] = {"choose_by": "last"}
    message = refusal(config, conditions=["sft", "layerwise"], choose=True, **RATES)
    assert message == (
        "sweeps.0.choose: `evaluation.choose_by: last` has nothing on validation that chooses"
    )


@pytest.mark.parametrize("section", ["conditions", "teachers"])
def test_the_name_of_a_tuned_result_is_reserved(config, section):
    config[section]["sft~tuned"] = copy.deepcopy(next(iter(config[section].values())))
    if section == "teachers":
        config[section]["sft~tuned"]["system"] = "Answer."
    message = refusal(config, condition="sft", choose=True, **RATES)
    assert message == (
        "sweeps.0.choose: `sft~tuned` is the chosen variant; rename what has this name already"
    )
