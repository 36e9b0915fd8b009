"""One pass reads what a study needs of a teacher; what is read already stays where it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from workflow_scripts.study.load import load_study
from workflow_scripts.study.passes import divided
from workflow_scripts.study.study import Study
from workflow_scripts.teachers.passes import record_pass

PLACE = ("smollm2-135m", "plural", "", "few-shot", 0)
FOLDER = Path("results/demo/smollm2-135m/plural/teachers/few-shot")


def names(study: Study, number: int) -> list[str]:
    targets = study.supervision.targets_in(*PLACE)
    read = study.passes.targets_of_pass(*PLACE, number)
    return [target.name for target in targets if target.target in read]


def files(study: Study, condition: str) -> list[str]:
    return study.run_inputs.targets("smollm2-135m", "plural", condition)


def reading(experiment: dict[str, Any], site: str) -> dict[str, Any]:
    """The condition that matches hidden states, at another site."""
    layerwise = experiment["conditions"]["layerwise"]
    (term,) = [term for term in layerwise["terms"] if term["objective"] == "hidden"]
    return layerwise | {"terms": [term | {"site": site}]}


@pytest.fixture
def one(config):
    """A study with one condition, which reads one target."""
    config["conditions"] = {"layerwise": reading(config, "block")}
    config["analysis"] = {"baseline": "layerwise"}
    config.pop("comparisons", None)
    return config


@pytest.fixture
def both(one):
    """The same with another condition, which reads another target of the teacher."""
    conditions = one["conditions"] | {"inner": reading(one, "ffn")}
    return one | {"conditions": conditions}


def test_one_pass_reads_all_targets_of_a_teacher(both):
    study = load_study(both)
    assert len(names(study, 0)) == 2
    assert files(study, "layerwise") == files(study, "inner") != []


def test_a_target_that_is_added_is_read_by_a_pass_of_its_own(both, tmp_path):
    record_pass(tmp_path / FOLDER / "pass-0", ["hidden-block-query"])
    study = load_study(both)
    study.passes.look_below(f"{tmp_path}/")
    assert (names(study, 0), names(study, 1)) == (["hidden-block-query"], ["hidden-ffn-query"])
    assert files(study, "layerwise") == [f"{FOLDER}/pass-0/shard-0000/manifest.json"]
    assert files(study, "inner") == [f"{FOLDER}/pass-1/shard-0000/manifest.json"]


def test_a_target_that_is_not_read_any_more_leaves_the_others_where_they_are(one, tmp_path):
    record_pass(tmp_path / FOLDER / "pass-0", ["hidden-ffn-query"])
    record_pass(tmp_path / FOLDER / "pass-1", ["hidden-attention-query", "hidden-block-query"])
    study = load_study(one)
    study.passes.look_below(f"{tmp_path}/")
    assert names(study, 1) == ["hidden-block-query"]


def test_the_settings_of_a_pass_do_not_say_which_targets_it_reads(one, both):
    """Snakemake would repeat it where a condition is removed."""
    assert load_study(one).slices.teacher(*PLACE) == load_study(both).slices.teacher(*PLACE)


def test_a_job_of_a_pass_under_way_gets_the_plan_that_started_it():
    """Whether or not the first shard has left its record, and while another pass is repeated."""
    before = divided(["a", "b", "c"], {0: {"a"}})
    assert before == {"a": 0, "b": 1, "c": 1}
    assert divided(["a", "b", "c"], {0: {"a"}, 1: {"b", "c"}}) == before


def test_a_deleted_pass_gets_its_number_back():
    assert divided(["a", "b"], {1: {"b"}}) == {"a": 0, "b": 1}


def test_nothing_on_disk_is_looked_at_unasked(both, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    record_pass(FOLDER / "pass-0", ["hidden-block-query"])
    assert len(names(load_study(both), 0)) == 2
