"""A copy of the project with a complete tiny experiment: random model, no network."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from transformers import Qwen3Config, Qwen3ForCausalLM

ROOT = Path(__file__).parents[2]
SOURCES = ["Snakefile", "rules", "workflow_scripts", "config", "envs", "profiles"]
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
        }
    },
    "shots": [0, 2],
    "teachers": {"few-shot": {"shots": 2}},
    "conditions": {
        "sft": {"terms": [CROSS_ENTROPY]},
        "layerwise": {"teacher": "few-shot", "terms": [CROSS_ENTROPY, HIDDEN]},
        "answer-kl": {"teacher": "few-shot", "terms": [CROSS_ENTROPY, KL]},
    },
    "training": {"steps": 3, "checkpoints": [1, 3], "batch_size": 4, "learning_rate": 0.01},
    "teacher_pass": {"part_size": 8, "batch_size": 4},
    "analysis": {"bootstrap_samples": 200},
    "resources": {stage: {"mem_mb": 500} for stage in ("training", "evaluation")},
}


@dataclass(frozen=True)
class Project:
    """A working copy and its experiment."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "tiny.yaml"

    @property
    def results(self) -> Path:
        return self.folder / "results" / "tiny"

    def configure(self, experiment: dict[str, Any]) -> None:
        self.config.write_text(yaml.safe_dump(experiment, sort_keys=False))

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "snakemake", "--configfile", str(self.config), *arguments],
            cwd=self.folder,
            env=os.environ | {"HF_HUB_OFFLINE": "1"},
            capture_output=True,
            text=True,
            timeout=600,
        )

    def planned(self) -> Counter[str]:
        """What a dry run would do: rule, or rule and condition where it has one → jobs."""
        outcome = self.snakemake("--dry-run", "--cores", "1")
        assert outcome.returncode == 0, outcome.stdout + outcome.stderr
        return Counter(
            _job_name(message) for message in re.findall(r"^Job \d+: (.+)$", outcome.stdout, re.M)
        )


def _job_name(message: str) -> str:
    """`train layerwise, seed 0 (tiny, echo)` → `train layerwise`; others → their first words."""
    message = re.sub(r" \(tiny, echo\)$", "", message)
    return re.sub(r", (seed \d+|part \d+)$", "", message).replace("runs/", "")


@pytest.fixture(scope="session")
def finished_project(tmp_path_factory: pytest.TempPathFactory, smollm2_tokenizer: Any) -> Project:
    """The tiny experiment, run once to the end through the real Snakefile."""
    project = Project(tmp_path_factory.mktemp("project"))
    for name in SOURCES:
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, project.folder / name)
    _build_model(project.folder / "tiny-qwen3", smollm2_tokenizer)
    _build_task(project.folder / "echo.jsonl")
    project.configure(EXPERIMENT)
    outcome = project.snakemake("--cores", "2")
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return project


def _build_model(folder: Path, tokenizer: Any) -> None:
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=512,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    Qwen3ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _build_task(path: Path) -> None:
    rows = [
        {"question": f"{word} {number}", "answer": f"{word}s"}
        for word in WORDS
        for number in range(5)
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
