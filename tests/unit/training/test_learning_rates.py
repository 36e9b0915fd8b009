"""Each layer's learning rate, for every family, adapters and whole models."""

from __future__ import annotations

import re

import pytest

from tests.tiny_models import FAMILIES, LAYERS, tiny_classifier, tiny_model
from workflow_scripts.config.training import BitFitSettings, FullSettings, LoraSettings
from workflow_scripts.training.adapters import student_of
from workflow_scripts.training.learning_rates import parameter_groups

RATE, DECAY = 0.01, 0.5
ADAPTERS = {"lora": LoraSettings(), "full": FullSettings(kind="full")}
EMBEDDINGS = ("embed_tokens", "embed_positions", "project_in", "wte", "wpe", "embed_in")


def expected_rate(name: str) -> float:
    layer = re.search(r"\.(?:layers|h)\.(\d+)\.", name)
    if layer:
        return RATE * DECAY ** (LAYERS - 1 - int(layer[1]))
    return RATE * DECAY**LAYERS if any(part in name for part in EMBEDDINGS) else RATE


@pytest.mark.parametrize("kind", ADAPTERS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_weight_learns_at_the_rate_of_its_place(family, kind):
    assert_rates_of_places(student_of(ADAPTERS[kind], tiny_model(family)))


@pytest.mark.parametrize("family", ["opt", "opt-pre-norm", "gpt2", "gpt_neox"])
def test_a_bias_learns_at_the_rate_of_its_place(family):
    assert_rates_of_places(student_of(BitFitSettings(kind="bitfit"), tiny_model(family)))


@pytest.mark.parametrize("kind", ADAPTERS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_classifiers_head_learns_at_the_whole_rate(family, kind):
    student = student_of(ADAPTERS[kind], tiny_classifier(family, 2))
    assert_rates_of_places(student)
    assert any("score" in name for name, p in student.named_parameters() if p.requires_grad)


def assert_rates_of_places(student) -> None:
    groups = parameter_groups(student, RATE, DECAY, 0.1, decayed=set())
    rates = {id(weight): group["lr"] for group in groups for weight in group["params"]}
    trained = {name: p for name, p in student.named_parameters() if p.requires_grad}
    assert {name: rates[id(p)] for name, p in trained.items()} == pytest.approx(
        {name: expected_rate(name) for name in trained}
    )


@pytest.mark.parametrize("kind", ADAPTERS)
def test_each_trained_weight_is_in_one_group(kind):
    student = student_of(ADAPTERS[kind], tiny_model("opt"))
    groups = parameter_groups(student, RATE, DECAY, 0.1, decayed=set())
    grouped = [id(weight) for group in groups for weight in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in student.parameters() if p.requires_grad)


def test_weight_decay_applies_to_the_named_weights_alone():
    student = student_of(ADAPTERS["full"], tiny_model("qwen3"))
    decayed = {name for name, _ in student.named_parameters() if "norm" not in name}
    groups = parameter_groups(student, RATE, DECAY, 0.1, decayed)
    found = {id(weight): group["weight_decay"] for group in groups for weight in group["params"]}
    for name, weight in student.named_parameters():
        assert found[id(weight)] == (0.1 if name in decayed else 0.0), name


def test_the_highest_rate_comes_first():
    groups = parameter_groups(
        student_of(ADAPTERS["full"], tiny_model("gpt2")), RATE, DECAY, 0.1, decayed=set()
    )
    rates = [group["lr"] for group in groups]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == RATE
