"""The benchmark of large studies plans what it says."""

from __future__ import annotations

import pytest
import yaml

from benchmarks.scaling import CHOICES, STUDY, Lengths, matrix, needs_of
from workflow_scripts.study.load import load_study


def study_of(path):
    return yaml.safe_load(path.read_text())


def test_a_scaled_study_is_valid_and_has_every_run():
    study = load_study(matrix(study_of(STUDY), models=2, tasks=3, conditions=4, seeds=5))
    runs = [
        run
        for model in study.experiment.models
        for task in study.experiment.tasks
        for run in study.matrix.runs_of(model, task)
    ]
    assert len(runs) == 2 * 3 * 4 * 5


@pytest.mark.parametrize("path", [STUDY, CHOICES], ids=["gsm8k", "mmlu-bbh"])
def test_longer_examples_need_more_work_at_every_stage(path):
    study = load_study(study_of(path))
    short, long = (needs_of(study, Lengths(n, n / 2)).operations for n in (100, 200))
    assert set(short) == {"icl_gap", "teachers", "training", "evaluation"}
    assert all(long[stage] == pytest.approx(2 * short[stage]) for stage in short)
