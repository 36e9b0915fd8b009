"""Which figures there are, and what they need."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

from workflow_scripts.config.figures import FIGURES
from workflow_scripts.study.load import load_study

ROOT = Path(__file__).parents[3]


def test_states_are_measured_of_the_conditions_that_a_figure_shows_by_layer(config):
    assert load_study(config).catalog.represented_conditions("smollm2-135m", "plural") == []
    config["representations"] = {}
    everything = load_study(config).catalog.represented_conditions("smollm2-135m", "plural")
    assert everything == list(config["conditions"])
    config["comparisons"] = {
        "main": {"question": "?", "members": ["sft", "answer-kl"]},
        "states": {"question": "?", "members": ["8-shot", "layerwise"], "figures": ["drift"]},
    }
    some = load_study(config).catalog.represented_conditions("smollm2-135m", "plural")
    assert some == ["sft", "layerwise"]


def figures_of(config: dict[str, Any], *members: str) -> list[str]:
    """The figures of a group that asks for figures by value."""
    group = {
        "question": "?",
        "members": list(members),
        "figures": ["forest_plot", "accuracy_by_value", "memory_by_value"],
    }
    study = load_study(
        config
        | {
            "sweeps": [{"condition": "distil", "field": "alpha", "values": [0.25, 0.75]}],
            "comparisons": {"alpha": group},
        }
    )
    model = next(iter(study.experiment.models))
    (found,) = study.groups.of_pair(model, "plural")
    return list(study.catalog.group_figures(model, "plural", found))


def test_a_figure_by_value_needs_two_members_with_numbers(nli):
    nli["conditions"]["distil"]["alpha"] = 0.5
    assert figures_of(nli, "0-shot", "distil~alpha=0.25") == ["forest_plot"]
    assert figures_of(nli, "distil", "distil~alpha=0.25") == [
        "forest_plot",
        "accuracy_by_value",
        "memory_by_value",
    ]


def test_every_figure_has_a_caption(config):
    assert {path.stem for path in load_study(config).catalog.figure_captions} == set(FIGURES)


def test_a_figure_is_a_picture_in_two_formats_and_a_table(config):
    catalog = load_study(config).catalog
    of_kinds = [catalog.figures_as(kind) for kind in ("png", "svg", "csv")]
    stems = [[path.rpartition(".")[0] for path in files] for files in of_kinds]
    assert stems[0] == stems[1] == stems[2]
    assert sorted(catalog.figures) == sorted(chain(*of_kinds))


def test_without_training_only_the_gap_is_drawn(config):
    del config["conditions"], config["training"], config["teachers"]
    figures = load_study(config).catalog.figures_as("png")
    assert [path.split("/plural/")[1] for path in figures] == [
        "icl_gap.png",
        "main/forest_plot.png",
    ]


def test_a_model_that_does_not_run_here_has_no_gap_to_draw(alone):
    figures = load_study(alone).catalog.figures_as("png")
    assert [path.split("/plural/")[1] for path in figures] == ["main/forest_plot.png"]


def test_a_figure_needs_the_table_that_it_shows(config):
    catalog = load_study(config).catalog
    place = ("smollm2-135m", "plural")
    tables = {
        figure: [Path(path).stem for path in catalog.figure_tables(*place, figure)]
        for figure in ("icl_gap", "main/drift", "main/memory_by_value", "main/forest_plot")
    }
    assert tables == {
        "icl_gap": ["icl_gap"],
        "main/drift": ["summary", "comparisons", "drift"],
        "main/memory_by_value": ["summary", "comparisons", "cost"],
        "main/forest_plot": ["summary", "comparisons"],
    }


def test_only_figures_of_all_results_read_training_logs(config):
    catalog = load_study(config).catalog
    place = ("smollm2-135m", "plural")
    assert catalog.figure_logs(*place, "loss_curves")
    assert catalog.figure_logs(*place, "main/forest_plot") == ()


def test_a_report_calls_a_figure_by_the_labels_of_its_model_and_task(config):
    config["models"]["smollm2-135m"]["label"] = "Small"
    config["tasks"]["plural"]["label"] = None
    labels = load_study(config).catalog.figure_labels("loss_curves", "smollm2-135m", "plural")
    assert labels == {"figure": "loss curves", "model": "Small", "task": "plural"}
