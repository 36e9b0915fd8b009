"""Which figures there are, and what they need."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workflow_scripts.study.load import load_study

ROOT = Path(__file__).parents[3]


def test_states_are_measured_of_the_conditions_that_a_figure_shows_by_layer(config):
    assert load_study(config).catalog.represented_conditions("smollm2-135m", "plural") == []
    config["representations"] = {}
    everything = load_study(config).catalog.represented_conditions("smollm2-135m", "plural")
    assert everything == list(config["conditions"])
    config["families"] = {
        "main": {"question": "?", "members": ["sft", "answer-kl"]},
        "states": {"question": "?", "members": ["8-shot", "layerwise"], "figures": ["drift"]},
    }
    some = load_study(config).catalog.represented_conditions("smollm2-135m", "plural")
    assert some == ["sft", "layerwise"]


def figures_of(config: dict[str, Any], *members: str) -> list[str]:
    """Of a family that asks for figures by value."""
    family = {
        "question": "?",
        "members": list(members),
        "figures": ["standings", "accuracy_by_value", "memory_by_value"],
    }
    study = load_study(
        config
        | {
            "sweeps": [{"condition": "distil", "field": "alpha", "values": [0.25, 0.75]}],
            "families": {"alpha": family},
        }
    )
    model = next(iter(study.experiment.models))
    (found,) = study.families.of_pair(model, "plural")
    return list(study.catalog.family_figures(model, "plural", found))


def test_a_figure_by_value_needs_two_members_with_numbers(nli):
    nli["conditions"]["distil"]["alpha"] = 0.5
    assert figures_of(nli, "0-shot", "distil~alpha=0.25") == ["standings"]
    assert figures_of(nli, "distil", "distil~alpha=0.25") == [
        "standings",
        "accuracy_by_value",
        "memory_by_value",
    ]
