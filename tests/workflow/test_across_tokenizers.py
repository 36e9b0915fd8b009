"""A mixture of tasks, distilled from a T5 made on the spot into a GPT-2 with another tokenizer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.workflow.conftest import WORDS, Project, copy_of_the_project

CROSS_ENTROPY = {"objective": "cross_entropy"}
ULD = {"objective": "uld", "weight": 0.5, "temperature": 1.2}
PROMPT = {"plain_question": "{question}\n"}
GENERATION = {"max_new_tokens": 8, "stop": ["\n"]}
SCRATCH = {
    "tasks": ["plurals", "sizes"],
    "vocabulary": 80,
    "layers": 2,
    "width": 32,
    "heads": 2,
    "steps": 10,
    "batch_size": 8,
    "learning_rate": 0.003,
}

EXPERIMENT: dict[str, Any] = {
    "experiment": "across",
    "models": {
        "student": {
            "source": "scratch:gpt2",
            "dtype": "float32",
            # another alphabet than the teacher's: bytes
            "scratch": SCRATCH | {"vocabulary": 300, "steps": 2},
        },
        "teacher": {
            "source": "scratch:t5",
            "architecture": "encoder-decoder",
            "dtype": "float32",
            "scratch": SCRATCH,
        },
    },
    "tasks": {
        "plurals": {
            "data": {
                "source": "plurals.jsonl",
                "pattern": "Plural of {words.0}?",
                "fields": {"answer": "words.1"},
                "items": {"demonstrations": 2, "train": 16, "validation": 4, "test": 8},
            },
            "prompt": PROMPT,
            "generation": GENERATION,
            "scoring": {"scorer": "word"},
        },
        "sizes": {
            "data": {
                "source": "sizes.jsonl",
                "verbalizers": {"True": "yes", "False": "no"},
                "items": {"demonstrations": 2, "train": 12, "validation": 4, "test": 8},
            },
            "prompt": PROMPT,
            "generation": GENERATION,
            "scoring": {"scorer": "likelihood"},
        },
        # out of domain, and graded
        "sentences": {
            "data": {
                "source": "sentences.jsonl",
                "pattern": "A sentence with {concepts}.",
                "fields": {"answer": "sentences", "references": "concepts"},
                "items": {"demonstrations": 2, "train": 0, "validation": 4, "test": 8},
            },
            "prompt": PROMPT,
            "generation": GENERATION,
            "scoring": {"scorer": "coverage"},
        },
        "collection": {
            "data": {
                "source": "mixture",
                "mixture": {"plurals": 2, "sizes": 1},
                "items": {"demonstrations": 0, "train": 18, "validation": 4, "test": 6},
            },
            "prompt": PROMPT,
            "generation": GENERATION,
            "scoring": {"scorer": "components"},
            "shots": [0],
        },
    },
    "transfer": {"collection": ["plurals", "sizes", "sentences"]},
    "shots": [0, 2],
    "teachers": {"t5": {"model": "teacher", "shots": 0}},
    "conditions": {
        "ft": {"terms": [CROSS_ENTROPY]},
        "uld": {"teacher": "t5", "terms": [CROSS_ENTROPY, ULD]},
        "uld-text": {"teacher": "t5", "terms": [CROSS_ENTROPY, ULD | {"alignment": "text"}]},
    },
    "training": {
        "steps": 3,
        "checkpoints": [1, 3],
        "batch_size": 4,
        "learning_rate": 0.01,
        "adapter": {"rank": 4, "alpha": 8, "target_modules": "attention"},
    },
    "evaluation": {"transfer_shots": [0, 2]},
    "analysis": {"bootstrap_samples": 400, "baseline": "ft"},
    "resources": {
        stage: {"mem_mb": 500} for stage in ("pretraining", "training", "evaluation", "icl_gap")
    },
}


def write_tasks(folder: Path) -> None:
    numbered = [(word, number) for number in range(5) for word in WORDS]
    tables = {
        "plurals": [{"words": [f"{word}{n}", f"{word}{n}s"]} for word, n in numbered],
        "sizes": [
            {"question": f"Are {n + 1} {word}s more than 2?", "answer": n + 1 > 2}
            for word, n in numbered
        ],
        "sentences": [
            {
                "concepts": [word, f"{n}"],
                "sentences": [f"Ann has {n} {word}s.", f"See {n} {word}s."],
            }
            for word, n in numbered
        ],
    }
    for name, rows in tables.items():
        lines = [json.dumps(row) + "\n" for row in rows]
        (folder / f"{name}.jsonl").write_text("".join(lines))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = copy_of_the_project(tmp_path_factory.mktemp("across"), "across")
    write_tasks(project.folder)
    project.configure(EXPERIMENT)
    project.run()
    return project


@pytest.fixture
def table(finished: Project):
    return lambda name: pd.read_csv(finished.results / f"{name}.csv")


def test_a_mixture_takes_from_its_parts_by_weight(finished):
    items = pd.read_parquet(finished.results / "tasks/collection/train.parquet")["item"]
    assert items.str.partition("/")[0].value_counts().to_dict() == {"plurals": 12, "sizes": 6}


def test_runs_are_trained_on_the_mixture_alone(finished):
    trained = sorted(
        path.parents[1].relative_to(finished.results / "student").as_posix()
        for path in finished.results.glob("*/*/runs/*/seed-0/cost.json")
    )
    assert trained == [f"collection/runs/{name}" for name in ("ft", "uld", "uld-text")]


def test_each_item_of_a_mixture_is_scored_as_in_its_own_task(finished):
    pair = finished.results / "teacher"
    mixed = pd.read_parquet(pair / "collection/icl/0-shot/predictions.parquet")
    own = pd.read_parquet(pair / "plurals/icl/0-shot/predictions.parquet").assign(
        item=lambda rows: "plurals/" + rows["item"]
    )
    both = mixed.merge(own, on=["split", "item"])
    assert len(both) > 0
    assert both["strict_x"].tolist() == both["strict_y"].tolist()


def test_both_alignments_read_one_target_of_the_teacher(finished):
    found = sorted(
        path.parent.relative_to(finished.results).as_posix()
        for path in finished.results.glob("*/*/teachers/*/*/manifest.json")
    )
    assert found == ["teacher/collection/teachers/t5/sorted-answer-topall-t1.2"]


def test_students_are_asked_again_after_demonstrations(table):
    summary = table("summary")
    tested = summary[(summary["split"] == "test") & (summary["model"] == "student")]
    for task in ("plurals", "sizes", "sentences"):
        assert set(tested.loc[tested["task"] == task, "condition"]) == {
            "0-shot",
            "2-shot",
            *(
                f"{name}@collection{shots}"
                for name in ("ft", "uld", "uld-text")
                for shots in ("", "@2-shot")
            ),
        }


def test_domains_are_told_apart(table):
    domains = table("domains")
    assert set(domains["domain"]) == {"in", "out"}
    assert set(domains["shots"]) == {0, 2}


def test_the_teacher_is_measured_too_and_not_trained(table):
    assert set(table("icl_gap")["model"]) == {"student", "teacher"}
    cost = table("cost")
    assert set(cost.loc[cost["phase"] == "training", "model"]) == {"student"}


def test_nothing_is_left_to_do(finished):
    outcome = finished.snakemake("--dry-run", "--cores", "1")
    assert "Nothing to be done" in outcome.stdout + outcome.stderr
