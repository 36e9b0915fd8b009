from __future__ import annotations

import copy
from pathlib import Path

import pandas as pd
import pytest
import yaml

from workflow_scripts.report.pair import Pair
from workflow_scripts.report.sections.measured import (
    calibration_section,
    domains_answered,
    retention_section,
)
from workflow_scripts.report.setup import ReportSettings
from workflow_scripts.study.load import load_study

CONFIG = yaml.safe_load((Path(__file__).parents[4] / "config/config.yaml").read_text())


def pair_of(name: str, *rows: dict[str, object]) -> Pair:
    """The default's model on its task, with one table; runs may forget the task `logic`."""
    config = copy.deepcopy(CONFIG)
    config["tasks"]["logic"] = copy.deepcopy(config["tasks"]["plural"]) | {"label": "Logic"}
    slices = load_study(config).slices
    settings = ReportSettings.model_validate_json(slices.report()[:-1] + ', "wordings": {}}')
    keys = {"model": "smollm2-135m", "task": "plural", "seed": "0", "draw": None}
    table = pd.DataFrame([keys | row for row in rows])
    return Pair("smollm2-135m", "plural", settings, {name: table}, ())


def with_interval(name: str, value: float) -> dict[str, float]:
    return {name: value, f"{name}_low": value - 0.05, f"{name}_high": value + 0.05}


def retained(condition: str, answered: str, difference: float, verdict: str) -> dict[str, object]:
    """A row of retention.csv."""
    row: dict[str, object] = {"condition": condition, "answered": answered, "items": 100}
    row |= with_interval("base_accuracy", 0.5) | with_interval("accuracy", 0.5 + difference)
    row |= with_interval("difference", difference) | {"note": None, "detectable": 0.09}
    return row | {"p_holm": 0.3 if verdict == "not shown" else 0.001, "verdict": verdict}


@pytest.fixture
def forgetful() -> Pair:
    return pair_of(
        "retention",
        retained("sft", "plural", 0.4, "better"),
        retained("logit-kl", "plural", 0.38, "better"),
        retained("sft", "logic", -0.2, "forgotten"),
        retained("logit-kl", "logic", -0.02, "not shown"),
    )


def test_what_was_forgotten_is_beside_what_was_gained(forgetful: Pair) -> None:
    table = retention_section(forgetful).tables[0]
    assert table.columns == ["result", "Plural nouns, trained on", "Logic"]
    assert table.rows[0] == [
        "sft",
        "+40.0 [+35.0, +45.0], better",
        "-20.0 [-25.0, -15.0], forgotten",
    ]
    assert table.rows[1][2] == "-2.0 [-7.0, +3.0], not shown"


def test_the_finding_names_what_was_forgotten_and_what_could_have_been_seen(
    forgetful: Pair,
) -> None:
    assert retention_section(forgetful).findings == [
        "Forgotten: sft on Logic (-20.0 points [-25.0, -15.0]); not shown: 1 of 2; detectable "
        "difference about 9 points (100 items, 80 % power)"
    ]


def test_calibration_stands_beside_what_a_calibrated_model_would_show() -> None:
    row: dict[str, object] = {"condition": "sft", "accuracy": 0.6, "confidence": 0.9}
    row |= {"calibrated": 0.04} | with_interval("calibration_error", 0.3)
    row |= with_interval("brier", 0.62)
    (table,) = calibration_section(pair_of("calibration", row)).tables
    cells = dict(zip(table.columns, table.rows[0], strict=True))
    assert cells["mean confidence, %"] == "90.0"
    assert cells["calibration error, points [95 % CI]"] == "30.0 [25.0, 35.0]"
    assert cells["of a calibrated model, points"] == "4.0"
    assert cells["Brier score [95 % CI]"] == "0.62 [0.57, 0.67]"


def told(*rows: tuple[str, int, str]) -> str:
    domains = pd.DataFrame(rows, columns=["domain", "shots", "answered"])
    return domains_answered(domains, str.upper)


def test_tasks_are_named_once_where_all_are_shown_demonstrations() -> None:
    rows = [("in", 0, "a, b"), ("in", 4, "a, b"), ("out", 0, "c"), ("out", 4, "c")]
    assert told(*rows) == "In domain: A and B; out of domain: C."


def test_those_that_are_shown_demonstrations_are_named_where_they_are_fewer() -> None:
    rows = [("in", 0, "a, b"), ("in", 4, "b"), ("out", 0, "c")]
    assert told(*rows) == "In domain: A and B; out of domain: C; in domain after 4 shots: B."
