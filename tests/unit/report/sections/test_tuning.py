"""Conditions at the values that validation items chose."""

from __future__ import annotations

import copy
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.unit.tables.conftest import result
from workflow_scripts.report.pair import Pair
from workflow_scripts.report.sections.tuning import tuning_section
from workflow_scripts.report.setup import ReportSettings
from workflow_scripts.study.load import load_study
from workflow_scripts.tables.tuning import tuning

__all__ = ["result"]

CONFIG = yaml.safe_load((Path(__file__).parents[4] / "config/config.yaml").read_text())
FAST = "layerwise~learning_rate=0.001"


def pair_of(runs: pd.DataFrame, *arms: tuple[str, ...]) -> Pair:
    config = copy.deepcopy(CONFIG)
    config["conditions"]["layerwise"]["label"] = "Matched states"
    slices = load_study(config).slices
    settings = ReportSettings.model_validate_json(slices.report()[:-1] + ', "wordings": {}}')
    tuned = {names[0]: {name: f"setting of {name}" for name in names} for names in arms}
    tables = {"tuning": tuning(runs, tuned).assign(model="smollm2-135m", task="plural")}
    return Pair("smollm2-135m", "plural", settings, tables, ())


@pytest.fixture
def runs(result) -> pd.DataFrame:
    counts = {"sft": 50, "sft~learning_rate=0.001": 45, "layerwise": 60, FAST: 80}
    return pd.concat(
        [result(name, {0: 10, 10: correct}, seed=0) for name, correct in counts.items()]
    )


def test_the_report_says_who_was_tuned_with_how_many_trials(runs):
    section = tuning_section(pair_of(runs, ("sft", "sft~learning_rate=0.001"), ("layerwise", FAST)))
    assert section.text == ["Each condition was tuned with 2 trials, itself among them."]
    (chosen,) = section.tables
    assert [row[:5] for row in chosen.rows] == [
        ["sft", "2", "setting of sft", "sft", "50.0"],
        ["Matched states", "2", f"setting of {FAST}", FAST, "80.0"],
    ]
    assert len(section.folded[0].rows) == 4


def test_who_had_more_trials_is_said_to_have_had_a_better_chance(runs):
    section = tuning_section(pair_of(runs, ("sft",), ("layerwise", FAST)))
    assert section.text[0].startswith("Conditions were tuned with different numbers of trials")
    assert [row[1] for row in section.tables[0].rows] == ["1", "2"]
