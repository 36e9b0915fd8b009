"""A mixture of tasks, distilled from a T5 made on the spot into a GPT-2 with another tokenizer.

Only what the tiny experiment lacks is made of it: models from scratch, the mixture, sorted logits,
answers after demonstrations of runs on the mixture, and the table of domains.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.tiny_experiment import WORDS
from tests.workflow.conftest import Project, copy_of_the_project

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
    "transfer": {"collection": ["plurals", "sentences"]},
    "shots": [0, 2],
    "teachers": {"t5": {"model": "teacher", "shots": 0}},
    "conditions": {
        "uld": {"teacher": "t5", "terms": [CROSS_ENTROPY, ULD]},
    },
    "training": {
        "steps": 3,
        "checkpoints": [1, 3],
        "batch_size": 4,
        "learning_rate": 0.01,
        "adapter": {"rank": 4, "alpha": 8, "target_modules": "attention"},
    },
    "evaluation": {"transfer_shots": [0, 2]},
    "analysis": {"bootstrap_samples": 400, "baseline": "uld"},
    "resources": {
        stage: {"mem_mb": 500} for stage in ("pretraining", "training", "evaluation", "icl_gap")
    },
}

TARGETS = [
    f"results/across/{name}"
    for name in (
        "domains.csv",
        *(f"{model}/collection/icl/0-shot/predictions.parquet" for model in ("student", "teacher")),
    )
]


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
    project.run(*TARGETS)
    return project


@pytest.fixture
def domains(finished: Project) -> pd.DataFrame:
    return pd.read_csv(finished.results / "domains.csv")


def test_a_mixture_takes_from_its_parts_by_weight(finished):
    items = pd.read_parquet(finished.results / "tasks/collection/train.parquet")["item"]
    assert items.str.partition("/")[0].value_counts().to_dict() == {"plurals": 12, "sizes": 6}


def test_each_item_of_a_mixture_is_scored_as_in_its_own_task(finished):
    pair = finished.results / "student"
    mixed = pd.read_parquet(pair / "collection/icl/0-shot/predictions.parquet")
    own = pd.read_parquet(pair / "plurals/icl/0-shot/predictions.parquet").assign(
        item=lambda rows: "plurals/" + rows["item"]
    )
    both = mixed.merge(own, on=["split", "item"])
    assert len(both) > 0
    assert both["strict_x"].tolist() == both["strict_y"].tolist()


def test_the_teacher_leaves_its_target_in_its_own_folder(finished):
    found = sorted(
        path.relative_to(finished.results).as_posix()
        for path in finished.results.glob("*/*/teachers/**/*.safetensors")
    )
    assert found == [
        "teacher/collection/teachers/t5/pass-0/shard-0000/sorted-answer-topall-t1.2.safetensors"
    ]


def test_the_teacher_answers_the_mixture_too(finished):
    answers = pd.read_parquet(
        finished.results / "teacher/collection/icl/0-shot/predictions.parquet"
    )
    assert answers.groupby("split").size().to_dict() == {"test": 6, "validation": 4}
    assert answers["answer_loss"].gt(0).all()


def test_students_are_asked_again_after_demonstrations(finished):
    run = finished.results / "student/collection/runs/uld/seed-0"
    everything = pd.read_parquet(run / "transfer/predictions.parquet")
    for task in ("plurals", "sentences"):
        own = everything[everything["task"] == task]
        answers = [own[own["shots"] == shots] for shots in (0, 2)]
        assert len(answers[0]) == len(answers[1]) > 0
        assert answers[0]["answer_loss"].tolist() != answers[1]["answer_loss"].tolist()


def test_domains_are_told_apart(domains):
    assert set(domains["domain"]) == {"in", "out"}
    assert set(domains["shots"]) == {0, 2}
    assert set(domains["model"]) == {"student"}


def test_nothing_is_left_to_do(finished):
    assert not finished.planned(*TARGETS)
