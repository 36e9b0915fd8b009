"""A complete tiny study: every stage on a random model, in seconds a job, without a network."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path
from typing import Any

from tests.tiny_models import save_random_qwen3

WORDS = ["cat", "dog", "apple", "knife", "clip", "friend", "box", "child"]

CROSS_ENTROPY = {"objective": "cross_entropy"}
HIDDEN = {
    "objective": "hidden",
    "weight": 0.5,
    "site": "block",
    "layers": "all",
    "position": "query",
    "normalize": True,
    "reduction": "sum",
}
KL = {
    "objective": "logit_kl",
    "weight": 0.5,
    "position": "answer",
    "temperature": 2,
    "top_k": 16,
    "reduction": "mean",
}

EXPERIMENT: dict[str, Any] = {
    "experiment": "tiny",
    "models": {"tiny": {"source": "tiny-qwen3", "dtype": "float32", "label": "Tiny"}},
    "tasks": {
        "echo": {
            "data": {
                "source": "echo.jsonl",
                "items": {"demonstrations": 4, "train": 12, "validation": 6, "test": 10},
            },
            "generation": {"max_new_tokens": 3},
            "scoring": {"scorer": "word"},
        },
        "deduction": {
            "data": {
                "source": "deduction.json",
                "fields": {"question": "input", "answer": "target"},
                "choices": ["(A)", "(B)", "(C)"],
                "items": {"demonstrations": 4, "train": 0, "validation": 4, "test": 8},
            },
            "generation": {"max_new_tokens": 3},
            "scoring": {"scorer": "likelihood"},
            "shots": [0],
        },
    },
    "transfer": {"echo": ["deduction"]},
    "shots": [0, 2],
    "teachers": {"few-shot": {"shots": 2}},
    "conditions": {
        "sft": {"adapter": {"kind": "full"}, "learning_rate": 0.001, "terms": [CROSS_ENTROPY]},
        "distilled": {"teacher": "few-shot", "terms": [CROSS_ENTROPY, HIDDEN, KL]},
    },
    "comparisons": {
        "main": {
            "question": "Which supervision?",
            "members": ["0-shot", "2-shot", "sft", "distilled"],
        },
        "states": {
            "question": "Do matched states stay near?",
            "members": {"sft": "fine-tuning", "distilled": "matched states"},
            "figures": ["forest_plot", "teacher_distance", "drift"],
        },
        "elsewhere": {
            "question": "And on another task?",
            "members": ["0-shot", "sft@echo", "distilled@echo"],
            "design": "first",
        },
    },
    "representations": {"positions": ["query"], "max_rows": 40},
    "training": {"steps": 3, "checkpoints": [1, 3], "batch_size": 4, "learning_rate": 0.01},
    "teacher_pass": {"shard_size": 8, "batch_size": 4},
    "analysis": {"bootstrap_samples": 400},
    "resources": {stage: {"mem_mb": 500} for stage in ("training", "evaluation")},
}


def write_tiny_inputs(folder: Path) -> None:
    """The model and the tasks of `EXPERIMENT`."""
    save_random_qwen3(folder / "tiny-qwen3", context=512)
    _write_echo(folder / "echo.jsonl")
    _write_deduction(folder / "deduction.json")


def _write_echo(path: Path) -> None:
    rows = [
        {"question": f"{word} {number}", "answer": f"{word}s"}
        for word in WORDS
        for number in range(5)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _write_deduction(path: Path) -> None:
    """Items in the form of BIG-bench hard's logical deduction."""
    examples = [
        {
            "input": f"On a shelf, there are three books: {', '.join(trio)}. Which is leftmost?\n"
            "Options:\n" + "\n".join(f"({'ABC'[place]}) {book}" for place, book in enumerate(trio)),
            "target": f"({'ABC'[number % 3]})",
        }
        for number, trio in enumerate(permutations(["red", "blue", "green", "white"], 3))
    ]
    path.write_text(json.dumps({"examples": examples}))
