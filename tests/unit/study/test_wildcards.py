"""Functions of the plan as Snakemake calls them."""

from __future__ import annotations

import inspect
import json
from types import SimpleNamespace

from workflow_scripts.config.resources import StageResources
from workflow_scripts.study.wildcards import OfWildcards, as_json

JOB = SimpleNamespace(model="m", task="t", seed="3")


class Plan:
    number = 7

    def named(self, task: str, seed: int, shots: int = 0) -> list[object]:
        return [task, seed, shots]

    def kept(self, model: str, *, kept: int = 0) -> tuple[str, int]:
        return model, kept

    def everything(self) -> StageResources:
        return StageResources()


def test_parameters_are_the_wildcards_of_their_names():
    assert OfWildcards(Plan()).named(JOB) == ["t", 3, 0]


def test_what_no_wildcard_gives_is_passed_on():
    assert OfWildcards(Plan()).kept(JOB, kept=2) == ("m", 2)
    assert OfWildcards(Plan()).kept(JOB) == ("m", 0)


def test_snakemake_sees_a_function_of_wildcards_alone():
    assert list(inspect.signature(OfWildcards(Plan()).kept).parameters) == ["wildcards"]


def test_what_is_no_method_is_as_it_is():
    assert OfWildcards(Plan()).number == 7


def test_settings_are_given_as_json():
    given = OfWildcards(Plan(), as_json).everything(JOB)
    assert StageResources.model_validate_json(given) == StageResources()


def test_lists_and_tables_of_settings_are_json_and_texts_are_not():
    assert json.loads(as_json([StageResources()])) == [StageResources().model_dump()]
    assert as_json({}) == "{}"
    assert as_json("word") == "word"
    assert as_json((10, 20)) == (10, 20)


def test_what_does_not_depend_on_the_seed_is_computed_once():
    asked = []

    class Counting:
        def of_task(self, task: str) -> str:
            asked.append(task)
            return task

        def of_run(self, task: str, seed: int) -> str:
            asked.append(seed)
            return task

    plan = OfWildcards(Counting())
    for seed in ("1", "2"):
        job = SimpleNamespace(task="t", seed=seed)
        assert plan.of_task(job) == plan.of_run(job) == "t"
    assert asked == ["t", 1, 2]
