"""What `make demo` left: run it first. Not part of `make test`, which needs no download."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import yaml

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results" / "demo"
CONFIG = yaml.safe_load((ROOT / "config/config.yaml").read_text())


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    summary = pd.read_csv(RESULTS / "summary.csv")
    return summary[summary["split"] == "test"]


def accuracy(rows: pd.DataFrame, condition: str, step: int) -> float:
    chosen = rows[(rows["condition"] == condition) & (rows["step"] == step)]
    return float(chosen["accuracy_strict"].item())


def test_the_model_has_a_real_in_context_gap(rows):
    assert accuracy(rows, "0-shot", 0) <= 0.2
    assert accuracy(rows, "8-shot", 0) >= 0.5


def test_every_condition_is_there_at_every_checkpoint(rows):
    steps = [0, *CONFIG["training"]["checkpoints"]]
    for condition in CONFIG["conditions"]:
        assert list(rows.loc[rows["condition"] == condition, "step"]) == steps


def test_fine_tuning_reaches_what_context_gives(rows):
    loss = rows.set_index(["condition", "step"])["answer_loss"]
    assert loss["sft", 40] < loss["8-shot", 0] < loss["sft", 5]


def test_context_in_the_teacher_matters(rows):
    """The control differs from its condition in the teacher's context only."""
    last = CONFIG["training"]["steps"]
    loss = rows.set_index(["condition", "step"])["answer_loss"]
    assert loss["answer-kl", last] < loss["answer-kl-zero-shot", last]


def test_the_report_shows_every_figure():
    report = (RESULTS / "report.html").read_text()
    for figure in (RESULTS / "figures").rglob("*.csv"):
        name = "-".join(figure.relative_to(RESULTS / "figures").parts)
        assert f'download="{name}"' in report
