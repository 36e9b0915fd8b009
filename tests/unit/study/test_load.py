"""From a config to a study: what ships is valid, and defaults are written back."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.unit.study.conftest import refusal
from workflow_scripts.config.study import Experiment
from workflow_scripts.study.load import load_study

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("**/*.yaml")), ids=lambda p: p.name)
def test_every_shipped_config_is_valid(path):
    load_study(yaml.safe_load(path.read_text()))


def test_the_second_shipped_task_is_one_line_away():
    text = (ROOT / "config/config.yaml").read_text().replace("# number-words:", "number-words:")
    study = load_study(yaml.safe_load(text))
    source = study.experiment.tasks["number-words"].data.source
    assert source == "resources/tasks/number-words.jsonl"
    assert (ROOT / source).exists()


def test_the_embedded_default_has_the_promised_conditions(config):
    study = load_study(config)
    assert list(study.experiment.conditions) == [
        "sft",
        "layerwise",
        "logit-kl",
        "answer-kl",
        "answer-kl-zero-shot",
    ]
    assert study.experiment.conditions["answer-kl-zero-shot"].teacher == "zero-shot"


def test_problems_in_several_places_are_all_reported(config):
    config["training"]["steps"] = 0
    config["evaluation"] = {"batch_size": 0}
    assert len(refusal(config).splitlines()) == 2


def test_defaults_are_written_back(config):
    written = load_study(config).experiment.model_dump(mode="json")
    assert written["analysis"]["confidence"] == 0.95
    assert load_study(written).experiment == load_study(config).experiment
    assert Experiment.model_validate(written).seeds == (0,)
