"""Accuracy and loss by step."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest
import yaml

from workflow_scripts.report.pair import Pair
from workflow_scripts.report.sections.training import learning_curve_section
from workflow_scripts.report.setup import ReportSettings
from workflow_scripts.study.load import load_study

CONFIG = yaml.safe_load((Path(__file__).parents[4] / "config/config.yaml").read_text())
KEYS = {"model": "smollm2-135m", "task": "plural", "seed": "0", "draw": None}


def measured(condition: str, step: int, accuracy: float, loss: float) -> dict[str, object]:
    """A row of summary.csv."""
    row = {"condition": condition, "split": "test", "step": step, "items": 100}
    return KEYS | row | {"accuracy_strict": accuracy, "answer_loss": loss}


def compared(first: str, second: str, items: int) -> dict[str, object]:
    """A row of comparisons.csv, of results with an accuracy of 50 %."""
    row = KEYS | {"first": first, "second": second, "items": items}
    for side in ("first", "second"):
        row |= {f"{side}_step": 20, f"{side}_accuracy": 0.5}
        row |= {f"{side}_accuracy_low": 0.4, f"{side}_accuracy_high": 0.6}
    return row


@pytest.fixture
def pair() -> Pair:
    """A condition, a variant, the tuned one, and a result from elsewhere with 95 of the items."""
    trained = ("sft", "sft~learning_rate=0.001", "sft~tuned")
    rows = [measured(name, step, 0.5, 0.4) for name in trained for step in (0, 20)]
    tables = {
        "summary": pd.DataFrame([*rows, measured("theirs", 0, 0.7, math.nan)]),
        "comparisons": pd.DataFrame(
            [compared("sft~tuned", "theirs", 95), compared("sft", "sft~learning_rate=0.001", 100)]
        ),
        "crossover": pd.DataFrame(columns=[*KEYS, "condition"]),
    }
    slices = load_study(CONFIG).slices
    settings = ReportSettings.model_validate_json(slices.report()[:-1] + ', "wordings": {}}')
    return Pair("smollm2-135m", "plural", settings, tables, ())


def test_the_tuned_condition_is_shown_at_once_and_the_variant_is_folded(pair):
    section = learning_curve_section(pair)
    accuracies, variants = section.tables[0], section.folded[0]
    assert [row[0] for row in accuracies.rows] == ["sft", "sft, tuned", "theirs"]
    assert [row[0] for row in variants.rows] == ["sft~learning_rate=0.001"]


def test_a_result_without_losses_has_no_row_of_them(pair):
    losses = learning_curve_section(pair).tables[1]
    assert [row[0] for row in losses.rows] == ["sft", "sft, tuned"]


def test_an_accuracy_on_fewer_items_says_on_how_many(pair):
    rows = {row[0]: row for row in learning_curve_section(pair).tables[0].rows}
    assert "20: 50.0 [40.0, 60.0] on 95 items" in rows["sft, tuned"]
    assert "20: 50.0 [40.0, 60.0]" in rows["sft"]
