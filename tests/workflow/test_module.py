"""Another workflow imports this one, with its own settings, prefix and names of rules."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd
import pytest
import yaml

from tests.tiny_experiment import EXPERIMENT, write_tiny_inputs
from tests.workflow.conftest import Project, copy_of_the_project

SNAKEFILE = """
configfile: "study.yaml"


module few_shot:
    snakefile:
        "checkout/Snakefile"
    config:
        config["few_shot"]
    prefix:
        "studies/first"


use rule * from few_shot as few_shot_*


rule conclude:
    default_target: True
    input:
        rules.few_shot_all.input,
        summary="studies/first/results/tiny/summary.csv",
    output:
        "conclusion.csv",
    shell:
        "cp {input.summary} {output}"


onstart:
    few_shot.onstart()
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A study of one condition, run once to the end by a workflow that has this one beside it."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "checkout").mkdir()
    copy_of_the_project(folder / "checkout", "tiny")
    experiment = copy.deepcopy(EXPERIMENT)
    distilled = experiment["conditions"]["distilled"]
    cross_entropy, _, kl = distilled["terms"]
    experiment["conditions"] = {"answer-kl": distilled | {"terms": [cross_entropy, kl]}}
    experiment["teacher_pass"]["shard_size"] = 12
    for key in ("transfer", "comparisons", "representations"):
        del experiment[key]
    del experiment["tasks"]["deduction"]
    (folder / "Snakefile").write_text(SNAKEFILE)
    study = Project(folder, "study")
    write_tiny_inputs(folder)
    study.configure({"few_shot": experiment})
    study.run()
    return study


def test_every_result_lies_under_the_prefix(study: Project):
    results = study.folder / "studies/first/results/tiny"
    for name in ("summary", "comparisons", "crossover", "cost", "targets", "icl_gap"):
        assert not pd.read_csv(results / f"{name}.csv").empty, name
    assert (results / "figures/tiny/echo/main/forest_plot.png").exists()
    assert (results / "tiny/echo/runs/answer-kl/seed-0/checkpoints/step-3").is_dir()
    assert (study.folder / "studies/first/resources/models/tiny/manifest.json").exists()
    made = {path.name for path in study.folder.iterdir()} - {".snakemake"}
    assert made == {
        "Snakefile",
        "study.yaml",
        "checkout",
        "echo.jsonl",
        "deduction.json",
        "tiny-qwen3",
        "studies",
        "conclusion.csv",
    }
    assert not (study.folder / "checkout/results").exists()


def test_what_was_imported_finds_nothing_left_to_do(study: Project):
    assert not study.planned()


@contextmanager
def configured(study: Project, **training: Any) -> Iterator[None]:
    """The study with other settings of training, and jobs of evaluation on 3 GPUs."""
    settings = yaml.safe_load(study.config.read_text())
    changed = copy.deepcopy(settings)
    changed["few_shot"]["training"] |= training
    changed["few_shot"]["resources"]["evaluation"]["gpu"] = 3
    study.configure(changed)
    try:
        yield
    finally:
        study.configure(settings)


def test_a_setting_of_the_importing_workflow_reruns_what_depends_on_it(study: Project):
    with configured(study, checkpoints=[3]):
        planned = study.planned()
    assert "evaluate the checkpoints of answer-kl, seed 0 (tiny, echo)" in planned
    assert "train answer-kl, seed 0 (tiny, echo)" not in planned


def test_its_checks_before_the_first_job_can_be_called(study: Project, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "fake0,fake1")
    with configured(study, learning_rate=0.02):
        outcome = study.snakemake("--cores", "1")
    assert outcome.returncode == 1
    assert "resources.evaluation.gpu: each job asks for 3 GPUs, but this machine offers 2" in (
        outcome.stdout + outcome.stderr
    )


def test_an_edited_source_of_the_checkout_reruns_what_imports_it(study: Project):
    source = study.folder / "checkout/workflow_scripts/figures/style.py"
    original = source.read_text()
    source.write_text(original + "\n# edited\n")
    try:
        planned = study.planned()
    finally:
        source.write_text(original)
    assert {job.split()[0] for job in planned} == {"draw", "write"}
