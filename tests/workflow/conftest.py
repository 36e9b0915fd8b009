"""Copies of the project with complete tiny experiments: random models, no network."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.tiny_models import save_random_qwen3

ROOT = Path(__file__).parents[2]
SOURCES = [
    "Snakefile",
    "rules",
    "workflow_scripts",
    "config",
    "envs",
    "profiles",
    "resources/tasks",
]
# real GSM8K items where they lie beside the checkout, else a few made in their form
GSM8K = ROOT.parent / "shared" / "data" / "gsm8k"
WORDS = ["cat", "dog", "apple", "knife", "clip", "friend", "box", "child"]

KL = {
    "objective": "logit_kl",
    "weight": 0.5,
    "position": "answer",
    "temperature": 2,
    "top_k": 16,
    "reduction": "mean",
}
HIDDEN = {
    "objective": "hidden",
    "weight": 0.5,
    "site": "block",
    "layers": "all",
    "position": "query",
    "normalize": True,
    "reduction": "sum",
}
CROSS_ENTROPY = {"objective": "cross_entropy"}

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
        },
    },
    "transfer": {"echo": ["deduction"]},
    "shots": [0, 2],
    "teachers": {"few-shot": {"shots": 2}},
    "conditions": {
        "sft": {"terms": [CROSS_ENTROPY]},
        "layerwise": {"teacher": "few-shot", "terms": [CROSS_ENTROPY, HIDDEN]},
        "answer-kl": {"teacher": "few-shot", "terms": [CROSS_ENTROPY, KL]},
    },
    "comparisons": {
        "main": {
            "question": "Which supervision?",
            "members": ["0-shot", "2-shot", "sft", "layerwise", "answer-kl"],
        },
        "states": {
            "question": "Do matched states stay near?",
            "members": {"sft": "fine-tuning", "layerwise": "matched states"},
            "figures": ["forest_plot", "teacher_distance", "drift"],
        },
        "elsewhere": {
            "question": "And on another task?",
            "members": ["0-shot", "sft@echo", "layerwise@echo", "answer-kl@echo"],
            "design": "first",
        },
    },
    "representations": {"positions": ["query"], "max_rows": 40},
    "training": {"steps": 3, "checkpoints": [1, 3], "batch_size": 4, "learning_rate": 0.01},
    "teacher_pass": {"shard_size": 8, "batch_size": 4},
    "analysis": {"bootstrap_samples": 400},
    "resources": {stage: {"mem_mb": 500} for stage in ("training", "evaluation")},
}


@dataclass(frozen=True)
class Project:
    """A working copy and its experiment."""

    folder: Path
    experiment: str = "tiny"

    @property
    def config(self) -> Path:
        return self.folder / f"{self.experiment}.yaml"

    @property
    def results(self) -> Path:
        return self.folder / "results" / self.experiment

    def configure(self, experiment: dict[str, Any]) -> None:
        self.config.write_text(yaml.safe_dump(experiment, sort_keys=False))

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "snakemake", "--configfile", str(self.config), *arguments],
            cwd=self.folder,
            env=os.environ | {"HF_HUB_OFFLINE": "1"},
            capture_output=True,
            text=True,
            timeout=1800,
        )

    def run(self, *targets: str) -> None:
        outcome = self.snakemake("--cores", "2", *targets)
        assert outcome.returncode == 0, outcome.stdout + outcome.stderr

    def planned(self) -> set[str]:
        """Messages of the jobs that a dry run would do."""
        outcome = self.snakemake("--dry-run", "--cores", "1")
        assert outcome.returncode == 0, outcome.stdout + outcome.stderr
        return set(re.findall(r"^Job \d+: (.+)$", outcome.stdout, re.M))


def copy_of_the_project(folder: Path, experiment: str) -> Project:
    for name in SOURCES:
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, folder / name)
    return Project(folder, experiment)


@pytest.fixture(scope="session")
def finished_project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The tiny experiment, run once to the end through the real Snakefile."""
    project = copy_of_the_project(tmp_path_factory.mktemp("project"), "tiny")
    write_tiny_inputs(project.folder)
    project.configure(EXPERIMENT)
    project.run()
    return project


@pytest.fixture(scope="session")
def finished_matrix(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """config/test/qwen3-tiny.yaml, run once to the end."""
    project = copy_of_the_project(tmp_path_factory.mktemp("matrix"), "qwen3-tiny")
    save_random_qwen3(project.folder / "tiny-qwen3", context=8192)
    _write_gsm8k(project.folder / "gsm8k")
    _write_deduction(project.folder / "deduction.json")
    project.configure(yaml.safe_load((ROOT / "config/test/qwen3-tiny.yaml").read_text()))
    project.run()
    return project


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
    _write_lines(path, [json.dumps(row) for row in rows])


def _write_gsm8k(folder: Path) -> None:
    folder.mkdir()
    for split, count in (("train", 40), ("test", 20)):
        source = GSM8K / f"{split}.jsonl"
        lines = source.read_text().splitlines() if source.exists() else _sums(split)
        _write_lines(folder / f"{split}.jsonl", lines[:count])


def _sums(split: str) -> list[str]:
    """Items in the form of GSM8K's."""
    first = {"train": 100, "test": 500}[split]
    return [
        json.dumps(
            {
                "question": f"Ann has {n} clips and buys {n // 2} more. How many has she now?",
                "answer": f"Ann has {n}+{n // 2}=<<{n}+{n // 2}={n + n // 2}>>{n + n // 2} clips.\n"
                f"#### {n + n // 2:,}",
            }
        )
        for n in range(first, first + 60)
    ]


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


def _write_lines(path: Path, lines: list[str]) -> None:
    path.write_text("\n".join(lines) + "\n")
