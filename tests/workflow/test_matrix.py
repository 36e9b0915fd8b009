"""The study's matrix on a tiny model: every condition, control and sweep leaves its results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.workflow.conftest import ROOT, Project
from workflow_scripts.config.study import Experiment
from workflow_scripts.study.load import load_study

STUDY = ROOT / "config/experiments/qwen3-gsm8k.yaml"
TINY = ROOT / "config/test/qwen3-tiny.yaml"


def read(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text())


def without_sizes(conditions: dict[str, Any]) -> dict[str, Any]:
    """Conditions but for what a tiny model cannot have."""
    for condition in conditions.values():
        condition.pop("models", None)
        for term in condition["terms"]:
            term.pop("top_k", None)
    return conditions


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    return load_study(read(TINY)).experiment


@pytest.fixture
def table(finished_matrix: Project):
    return lambda name: pd.read_csv(finished_matrix.results / f"{name}.csv")


def test_the_tiny_matrix_is_the_studys():
    study, tiny = read(STUDY), read(TINY)
    assert without_sizes(tiny["conditions"]) == without_sizes(study["conditions"])
    for key in ("sweeps", "comparisons", "teachers", "shots"):
        assert tiny[key] == study[key]


def test_every_condition_is_trained_and_evaluated_at_every_checkpoint(table, experiment):
    summary = table("summary")
    runs = summary[(summary["task"] == "gsm8k") & summary["seed"].notna()]
    found = {(row.condition, row.step) for row in runs.itertuples() if row.split == "test"}
    assert found == {(name, step) for name in experiment.conditions for step in (0, 1, 2)}


def test_every_sweep_and_control_is_there(experiment):
    variants = {name for name in experiment.conditions if "~" in name}
    assert variants == {
        "layerwise~weight=0.1",
        "layerwise~weight=1",
        "layerwise~weight=2",
        "layerwise~reduction=mean",
        *(
            f"{condition}~teacher={teacher}"
            for condition in ("layerwise", "answer-kl", "answer-mse")
            for teacher in ("zero-shot", "shuffled", "question-only")
        ),
    }


def test_a_model_that_is_no_student_is_in_the_gap_table_only(table):
    assert set(table("icl_gap")["model"]) == {"tiny", "tiny-untrained"}
    cost = table("cost")
    assert set(cost[cost["phase"] == "training"]["model"]) == {"tiny"}


def test_the_gap_is_told_for_the_quick_look_too(table):
    gap = table("icl_gap")
    quick = gap[(gap["sample"] == "first-16") & (gap["task"] == "gsm8k")]
    assert set(quick["items"]) == {16}
    assert set(quick["shots"]) == {0, 4, 8}


def test_full_fine_tuning_leaves_whole_models(finished_matrix):
    step = finished_matrix.results / "tiny/gsm8k/runs/sft-full/seed-0/checkpoints/step-2"
    assert (step / "model.safetensors").exists()
    assert not (step / "adapter_config.json").exists()


def test_the_likeliest_choice_does_not_depend_on_what_is_generated(finished_matrix):
    """A random model generates no label, but one label is always the likeliest."""
    folder = finished_matrix.results / "tiny"
    by_likelihood = pd.read_parquet(folder / "deduction/icl/3-shot/predictions.parquet")
    assert set(by_likelihood["prediction"]) <= {"(A)", "(B)", "(C)"}
    generated = pd.read_parquet(folder / "deduction-generated/icl/3-shot/predictions.parquet")
    losses = [np.stack(table["choice_losses"]) for table in (by_likelihood, generated)]
    np.testing.assert_allclose(*losses, rtol=1e-6)


def test_the_mass_that_the_top_k_covers_is_told(table):
    targets = table("targets")
    assert set(targets["target"]) == {
        "logits-query-top256-t2",
        "logits-prompt-top256-t2",
        "logits-answer-top256-t2",
        "logits-answer-top128-t1",
    }
    assert (targets["mass_min"] <= targets["mass_mean"]).all()
    assert targets["mass_mean"].between(0, 1).all()


def test_every_control_reads_its_own_teacher(table):
    assert set(table("targets")["teacher"]) == {
        "few-shot",
        "zero-shot",
        "shuffled",
        "question-only",
    }


def test_the_summary_names_every_condition(finished_matrix, experiment):
    text = (finished_matrix.results / "summary.md").read_text()
    assert [name for name in experiment.conditions if name not in text] == []


def test_a_chain_of_controls_adds_up_to_the_whole(table):
    """Of the study's groups, the causal ones."""
    comparisons = table("comparisons")
    for group in ("causes-states", "causes-answers", "causes-logits"):
        rows = comparisons[comparisons["group"] == group]
        *steps, whole = rows["difference"]
        assert len(steps) == 4
        assert sum(steps) == pytest.approx(whole)


def test_nothing_is_left_to_do(finished_matrix):
    outcome = finished_matrix.snakemake("--dry-run", "--cores", "1")
    assert "Nothing to be done" in outcome.stdout + outcome.stderr
