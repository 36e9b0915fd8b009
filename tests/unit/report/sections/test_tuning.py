"""Conditions at the values that validation items chose."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.unit.tables.conftest import result
from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.config.slices import TunedSlice
from workflow_scripts.report.document import Section
from workflow_scripts.report.pair import Pair
from workflow_scripts.report.sections.tuning import tuning_section
from workflow_scripts.report.setup import ReportSettings
from workflow_scripts.study.load import load_study
from workflow_scripts.tables.tuning import compare_chosen, tuning

__all__ = ["result"]

CONFIG = yaml.safe_load((Path(__file__).parents[4] / "config/config.yaml").read_text())
FAST = "layerwise~learning_rate=0.001"


def section_of(runs: pd.DataFrame, *arms: tuple[str, ...]) -> Section:
    slices = load_study(CONFIG).slices
    settings = ReportSettings.model_validate_json(slices.report()[:-1] + ', "wordings": {}}')
    tuned = TunedSlice(field="learning_rate", arms={names[0]: names for names in arms})
    candidates = tuning(runs, [tuned])
    compared = compare_chosen(runs, candidates, AnalysisSettings(bootstrap_samples=100))
    tables = {"tuning": candidates, "tuning_comparisons": compared}
    own = {
        name: table.assign(model="smollm2-135m", task="plural") for name, table in tables.items()
    }
    return tuning_section(Pair("smollm2-135m", "plural", settings, own, ()))


@pytest.fixture
def runs(result) -> pd.DataFrame:
    counts = {"sft": 50, "sft~learning_rate=0.001": 45, "layerwise": 60, FAST: 80}
    return pd.concat(
        [result(name, {0: 10, 10: correct}, seed=0) for name, correct in counts.items()]
    )


def test_the_report_says_who_was_tuned_with_how_many_trials(runs):
    section = section_of(runs, ("sft", "sft~learning_rate=0.001"), ("layerwise", FAST))
    assert section.text == ["Each condition was tuned with 2 trials, itself among them."]
    chosen, pairs = section.tables
    assert [row[:5] for row in chosen.rows] == [
        ["sft", "learning_rate", "2", "sft", "50.0"],
        ["layerwise", "learning_rate", "2", FAST, "80.0"],
    ]
    assert pairs.rows[0][:2] == [FAST, "sft"]
    assert section.findings[0].startswith(f"Shown: {FAST} > sft (+30.0 points")
    assert len(section.folded[0].rows) == 4


def test_who_had_more_trials_is_said_to_have_had_a_better_chance(runs):
    section = section_of(runs, ("sft",), ("layerwise", FAST))
    assert section.text[0].startswith("Conditions were tuned with different numbers of trials")
    assert [row[2] for row in section.tables[0].rows] == ["1", "2"]
