"""Study files with random mistakes are refused in one line a problem, or can be planned."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from benchmarks.faults import configs
from benchmarks.faults.planned import plan_all
from tests.tiny_experiment import EXPERIMENT
from workflow_scripts.study.load import load_study


def test_no_mistake_ends_in_another_way(monkeypatch):
    # Snakemake itself plans some in the full run, `python -m benchmarks.faults configs`
    monkeypatch.setattr(configs, "SAMPLED", 10**9)
    counts = configs.run(150, seed=20)
    assert counts.faults == []
    assert counts.refused > 50
    assert counts.same > 5
    assert counts.tried == counts.refused + counts.same


def test_a_study_that_cannot_be_planned_is_a_fault(monkeypatch):
    def broken(study: Any) -> None:
        raise KeyError("missing")

    monkeypatch.setattr(configs, "plan_all", broken)
    told, fault = configs.outcome(copy.deepcopy(EXPERIMENT))
    assert not told
    assert fault is not None
    assert fault.startswith("KeyError in test_mutations.py")


@pytest.mark.parametrize("message", ["", "no key", "a.b: Input should be x", "a: tuple[int]"])
def test_a_refusal_in_other_words_is_a_fault(message):
    assert configs._wrong_with(message) is not None


def test_every_file_of_a_study_is_planned():
    files = plan_all(load_study(copy.deepcopy(EXPERIMENT)))
    assert "results/tiny/tiny/echo/runs/sft/seed-0/checkpoints/manifest.json" in files
    assert "results/tiny/tiny/echo/runs/sft/seed-0/transfer/predictions.parquet" in files
    assert "results/tiny/report.html" in files
