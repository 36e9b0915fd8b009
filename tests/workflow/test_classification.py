"""Context distillation for classification, from a larger tiny OPT into a smaller one.

Only what the tiny experiment lacks is made of it: items that fit no context, labels, another
model's teacher, a classification head and bias terms in and out of domain, figures by value, a
search.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from safetensors import safe_open

from tests.tiny_models import save_random_opt
from tests.workflow.conftest import Project, copy_of_the_project

LABEL = {"objective": "label_cross_entropy"}
LABEL_KL = {"objective": "label_kl", "weight": 1}
TOO_LONG = "long"

PAIRS: dict[str, Any] = {
    "data": {
        "source": "pairs.jsonl",
        "pattern": "minimal",
        "fields": {"answer": "label"},
        "verbalizers": {"0": "cats", "2": "dogs"},
        "balanced": True,
        "overflow": "exclude",
        "items": {"demonstrations": 4, "train": 12, "validation": 6, "test": 10},
    },
    "prompt": {"plain_question": "{question}", "plain_answer": ""},
    "generation": {"max_new_tokens": 2},
    "scoring": {"scorer": "likelihood"},
}
HEURISTICS = PAIRS | {
    "data": PAIRS["data"]
    | {
        "source": "resources/tasks/nli/nli-heuristics.jsonl",
        "overflow": "refuse",
        "where": {"heuristic": "constituent"},
        "verbalizers": {"entailment": "cats", "non-entailment": "dogs"},
        "items": {"demonstrations": 4, "train": 0, "validation": 4, "test": 8},
    }
}
SUPPORT = ["0-shot", "4-shot", "pbft~train_items=4", "pbft", "vanilla-ft"]

EXPERIMENT: dict[str, Any] = {
    "experiment": "pairs",
    "models": {
        "large": {"source": "tiny-opt-large", "dtype": "float32"},
        "small": {"source": "tiny-opt-small", "dtype": "float32"},
    },
    "students": ["small"],
    "tasks": {"pairs": PAIRS, "heuristics": HEURISTICS},
    "transfer": {"pairs": ["heuristics"]},
    "retention": ["heuristics"],
    "shots": [0, 4],
    "teachers": {"larger": {"model": "large", "shots": 4}},
    "conditions": {
        "vanilla-ft": {"head": "classification", "terms": [LABEL]},
        "pbft": {"terms": [LABEL]},
        "context-distillation": {
            "teacher": "larger",
            "alpha": 0.5,
            "adapter": {"kind": "bitfit"},
            "terms": [LABEL, LABEL_KL],
        },
    },
    "sweeps": [{"condition": "pbft", "field": "train_items", "values": [4]}],
    "comparisons": {
        "support": {
            "question": "What do more labelled examples give, and cost?",
            "members": SUPPORT,
            "design": "first",
            "figures": ["accuracy_by_value", "memory_by_value"],
        },
    },
    "searches": {
        "pbft": {
            "condition": "pbft",
            "trials": 2,
            "fields": {"learning_rate": {"low": 1e-4, "high": 1e-1, "log": True}},
        }
    },
    "training": {
        "epochs": 2,
        "checkpoints": [1, 2],
        "batch_size": 4,
        "learning_rate": 0.01,
        "adapter": {
            "rank": 8,
            "alpha": 32,
            "dropout": 0.05,
            "target_modules": ["q_proj", "v_proj"],
        },
    },
    "analysis": {"bootstrap_samples": 400, "baseline": "pbft"},
    "resources": {stage: {"mem_mb": 500} for stage in ("training", "evaluation")},
}

TRANSFERRED = ["vanilla-ft", "context-distillation"]
TARGETS = [
    f"results/pairs/{name}"
    for name in (
        "small/pairs/labels.csv",
        "small/pairs/calibration.csv",
        "small/pairs/retention.csv",
        *(
            f"figures/small/pairs/support/{figure}_by_value.csv"
            for figure in ("accuracy", "memory")
        ),
        *(f"small/pairs/runs/{name}/seed-0/transfer/predictions.parquet" for name in TRANSFERRED),
        "searches/pbft/trials.csv",
    )
]


def write_pairs(path: Path) -> None:
    """Sentence pairs with MNLI's three labels; one is too long for any context."""
    rows = [
        {
            "id": f"{number}",
            "premise": f"Ann has {number} clips and {number % 7} boxes.",
            "hypothesis": f"Ann has {number if number % 3 == 0 else number + 1} clips.",
            "label": number % 3,
        }
        for number in range(90)
    ]
    rows[33] = rows[33] | {"id": TOO_LONG, "premise": "Ann has clips and boxes. " * 200}
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = copy_of_the_project(tmp_path_factory.mktemp("classification"), "pairs")
    save_random_opt(project.folder / "tiny-opt-large", width=48, projection=16, context=512)
    save_random_opt(project.folder / "tiny-opt-small", width=32, projection=32, context=512)
    write_pairs(project.folder / "pairs.jsonl")
    project.configure(EXPERIMENT)
    project.run(*TARGETS)
    return project


@pytest.fixture
def table(finished: Project):
    return lambda name: pd.read_csv(finished.results / f"small/pairs/{name}.csv")


def run_of(project: Project, condition: str) -> Path:
    return project.results / f"small/pairs/runs/{condition}/seed-0"


@pytest.mark.parametrize("condition", TRANSFERRED)
def test_a_head_and_bias_terms_answer_in_and_out_of_domain(condition, finished):
    inside = pd.read_parquet(run_of(finished, condition) / "predictions.parquet")
    outside = pd.read_parquet(run_of(finished, condition) / "transfer/predictions.parquet")
    assert set(outside["task"]) == {"heuristics"}
    for answers, items in ((inside, 10), (outside, 8)):
        tested = answers[answers["split"] == "test"]
        assert set(tested.groupby("step").size()) == {items}
        assert set(tested["prediction"]) <= {"cats", "dogs"}


def test_a_larger_teacher_leaves_its_targets_once_in_its_own_folder(finished):
    found = sorted(
        path.relative_to(finished.results).as_posix()
        for path in finished.results.glob("*/*/teachers/**/*.safetensors")
    )
    assert found == ["large/pairs/teachers/larger/pass-0/shard-0000/labels.safetensors"]


def test_what_fits_no_context_is_left_out_for_all_and_counted(finished):
    manifest = json.loads((finished.results / "tasks/pairs/manifest.json").read_text())
    assert manifest["left_out"]["overflow"] == 1
    for split in ("train", "validation", "test"):
        items = pd.read_parquet(finished.results / f"tasks/pairs/{split}.parquet")["item"]
        assert TOO_LONG not in set(items)


def test_training_items_hold_each_label_equally_often(finished):
    answers = pd.read_parquet(finished.results / "tasks/pairs/train.parquet")["answer"]
    assert sorted(answers[:4]) == ["cats", "cats", "dogs", "dogs"]


def test_epochs_become_steps_by_the_items_of_a_condition(finished):
    def steps(condition: str) -> list[int]:
        manifest = run_of(finished, condition) / "checkpoints/manifest.json"
        return json.loads(manifest.read_text())["steps"]

    assert steps("pbft") == [3, 6]
    assert steps("pbft~train_items=4") == [1, 2]


def test_a_bitfit_checkpoint_holds_biases_alone(finished):
    file = run_of(finished, "context-distillation") / "checkpoints/step-6/biases.safetensors"
    with safe_open(file, framework="numpy") as tensors:
        assert all(name.endswith("bias") for name in tensors.keys())  # noqa: SIM118


def test_cost_tells_training_and_inference_by_support(table):
    cost = table("cost")
    phases = {
        (row.condition, row.phase): row.support
        for row in cost.itertuples()
        if row.condition in SUPPORT
    }
    trained = {"pbft~train_items=4": 4, "pbft": 12, "vanilla-ft": 12}
    assert phases == {
        ("0-shot", "inference"): 0,
        ("4-shot", "inference"): 4,
        **{(name, phase): n for name, n in trained.items() for phase in ("training", "inference")},
    }
    assert (cost["peak_rss_mb"] > 0).all()


def test_accuracy_by_label_adds_up_to_the_accuracy(table):
    labels = table("labels")
    of_run = labels[labels["condition"] == "pbft"]
    assert set(of_run["label"]) == {"cats", "dogs"}
    assert of_run["items"].sum() == 10
    summary = table("summary")
    is_chosen = (summary["split"] == "test") & (summary["step"] == of_run["step"].iloc[0])
    chosen = summary[is_chosen & (summary["condition"] == "pbft")]
    right = (of_run["accuracy"] * of_run["items"]).sum()
    # tables are rounded to six digits
    assert right / 10 == pytest.approx(chosen["accuracy_strict"].item(), abs=1e-5)


def test_heads_and_ranked_labels_are_calibrated_or_not_alike(table):
    calibration, labels = table("calibration"), table("labels")
    assert set(calibration["condition"]) == set(labels["condition"])
    assert calibration["confidence"].min() >= 1 / 2
    assert calibration["calibration_error"].between(0, 1).all()
    by_label = labels[labels["condition"] == "pbft"]
    right = (by_label["accuracy"] * by_label["items"]).sum() / by_label["items"].sum()
    own = calibration[calibration["condition"] == "pbft"]
    assert own["accuracy"].item() == pytest.approx(right, abs=1e-5)


def test_every_condition_says_what_it_gained_and_what_it_forgot(table):
    retention, calibration = table("retention"), table("calibration")
    conditions = [name for name in calibration["condition"] if not name.endswith("-shot")]
    for answered in ("pairs", "heuristics"):
        own = retention[retention["answered"] == answered]
        assert own["condition"].tolist() == conditions
        assert own["difference"].tolist() == pytest.approx(
            (own["accuracy"] - own["base_accuracy"]).tolist(), abs=1e-5
        )


def test_figures_show_accuracy_and_memory_by_labelled_examples(finished):
    folder = finished.results / "figures/small/pairs/support"
    for figure in ("accuracy_by_value", "memory_by_value"):
        drawn = pd.read_csv(folder / f"{figure}.csv")
        assert {4, 12} <= set(drawn["number"].dropna())


def test_a_search_leaves_its_trials_and_the_best_fields(finished):
    folder = finished.results / "searches/pbft"
    trials = pd.read_csv(folder / "trials.csv")
    best = yaml.safe_load((folder / "best.yaml").read_text())
    chosen = trials.loc[trials["value"].idxmax()]
    assert len(trials) == 2
    assert best["learning_rate"] == pytest.approx(chosen["learning_rate"])
