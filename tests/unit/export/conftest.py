"""A run of a tiny model with two seeds' tables, and the entry point that exports it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch
from transformers import PreTrainedTokenizerBase

from tests.outputs import save
from tests.tiny_classifiers import save_classifier
from tests.tiny_models import save_tiny_model, tiny_model
from workflow_scripts.config.conditions import Head
from workflow_scripts.config.data import DataSettings, ItemCounts
from workflow_scripts.config.models import ModelSource
from workflow_scripts.config.slices import (
    ContextSettings,
    PhaseSlice,
    RunSlice,
    ScoringSlice,
    TeacherTarget,
)
from workflow_scripts.config.tasks import GenerationSettings, PromptSettings
from workflow_scripts.config.terms import CrossEntropyTerm, HiddenTerm
from workflow_scripts.config.training import Adapter, LoraSettings, TrainingSettings
from workflow_scripts.export import export
from workflow_scripts.export.recipe import Recipe
from workflow_scripts.modeling.loading import open_model
from workflow_scripts.runtime.checksums import sha256_of
from workflow_scripts.runtime.files import write_json
from workflow_scripts.tables.comparisons import COLUMNS
from workflow_scripts.tasks.examples import Example, write_examples
from workflow_scripts.training.adapters import save_checkpoint, student_of
from workflow_scripts.training.recipes import in_steps
from workflow_scripts.training.terms import reads_of

TEMPLATE = Path(export.__file__).with_name("card.md")
EXAMPLES = [
    Example("a", "cat", "cats"),
    Example("b", "mouse", "mice"),
    Example("c", "box", "boxes"),
]
POOL = [Example("d", "dog", "dogs"), Example("e", "clip", "clips")]
LABELS = ("cats", "mice", "boxes")
HIDDEN = HiddenTerm(
    objective="hidden",
    weight=0.5,
    site="block",
    layers="all",
    position="query",
    normalize=True,
    reduction="sum",
)


def make_recipe(
    adapter: Adapter | None = None, head: Head = "language", **changes: object
) -> Recipe:
    adapter = adapter or LoraSettings(rank=4)
    few_shot = ContextSettings(shots=8, answers="shuffled", seed=0)
    given = {
        "experiment": "small",
        "model": "tiny",
        "task": "plural",
        "condition": "layerwise",
        "base": ModelSource(source="hub:someone/tiny", revision="abc"),
        "data": DataSettings(
            source="resources/tasks/plural.jsonl",
            items=ItemCounts(demonstrations=8, train=12, validation=4, test=3),
        ),
        "run": RunSlice(
            prompt=PromptSettings(system="Answer."),
            labels=None if head == "language" else LABELS,
            teacher="few-shot",
            phases=(
                PhaseSlice(
                    terms=(CrossEntropyTerm(objective="cross_entropy"), HIDDEN),
                    reads=(
                        TeacherTarget(
                            teacher="few-shot",
                            system=None,
                            context=few_shot,
                            target=reads_of(HIDDEN).target,
                        ),
                    ),
                    author="gold",
                    demonstrations=None,
                    train_items=12,
                    steps=4,
                ),
            ),
            head=head,
            adapter=adapter,
            training=in_steps(TrainingSettings(steps=4, checkpoints=(2, 4)), 12),
            seed=1,
        ),
        "teachers": {},
        "generation": GenerationSettings(max_new_tokens=3, stop=("\n",)),
        "scoring": ScoringSlice(scorer="word", labels=None),
        "shots": 8,
        "baseline": "sft",
        "confidence": 0.95,
        "command": "snakemake --cores all --configfile small.yaml -- README.md",
    }
    return Recipe.model_validate(given | changes)


def save_model(folder: Path, tokenizer: PreTrainedTokenizerBase, group: str = "qwen3") -> Path:
    return save_tiny_model(group, tokenizer, folder)


def save_run(folder: Path, adapter: Adapter, group: str = "qwen3") -> Path:
    """Checkpoints of steps 2 and 4 as training leaves them. Returns their manifest."""
    for step in (2, 4):
        student = student_of(adapter, tiny_model(group))
        torch.manual_seed(step)
        with torch.no_grad():
            for weight in (p for p in student.parameters() if p.requires_grad):
                weight.add_(torch.randn_like(weight), alpha=0.3)
        save_checkpoint(adapter, student, folder / f"step-{step}", torch.float32)
    return write_manifest(folder)


def save_classifier_run(folder: Path, adapter: Adapter, model: Path) -> Path:
    """The same of classifiers, of the model with this manifest."""
    for step in (2, 4):
        save_classifier(open_model(model), adapter, len(LABELS), folder / f"step-{step}", seed=step)
    return write_manifest(folder)


def write_manifest(folder: Path) -> Path:
    files = {
        str(file.relative_to(folder)): sha256_of(file)
        for file in sorted(folder.rglob("*"))
        if file.name != "README.md" and file.is_file() and not file.name.startswith(".")
    }
    write_json(folder / "manifest.json", {"steps": [2, 4], "files": files})
    return folder / "manifest.json"


def predictions() -> pd.DataFrame:
    """Step 4 is the best on validation and has 2 of 3 test items right."""
    rows = [
        {"split": split, "item": item, "step": step, "completion": f" {item}s", "answer_loss": 1.0}
        | {"prediction": f"{item}s", "strict": step == 4 and item != "c", "flexible": step == 4}
        | {"selection": step == 4, "selection_loss": 1.0}
        for split, items in (("validation", "xy"), ("test", "abc"))
        for step in (0, 2, 4)
        for item in items
    ]
    return pd.DataFrame(rows)


def summary() -> pd.DataFrame:
    measured = {"items": 3} | {
        f"{name}{end}": value
        for name in ("accuracy_strict", "accuracy_flexible", "answer_loss")
        for end, value in (("", 0.5), ("_low", 0.25), ("_high", 0.75))
    }
    results = [("0-shot", None, 0), ("8-shot", None, 0), ("layerwise", "0", 4)]
    results += [("layerwise", "1", 4), ("layerwise", "all", 4), ("sft", "1", 4)]
    return pd.DataFrame(
        [
            {"condition": condition, "seed": seed, "step": step, "split": "test"} | measured
            for condition, seed, step in results
        ]
    ).assign(model="tiny", task="plural", draw=None)


def comparisons() -> pd.DataFrame:
    """The condition is better than `sft` with seed 1; for both seeds no test is made."""
    row = {
        "model": "tiny",
        "task": "plural",
        "group": "main",
        "second_step": "4",
        "items": 3,
        "p_holm": 0.01,
        "note": None,
    }
    row |= {
        f"{name}{end}": value
        for name, middle in (
            ("first_accuracy", 0.8),
            ("second_accuracy", 0.4),
            ("difference", 0.4),
            ("loss_difference", -0.5),
        )
        for end, value in (("", middle), ("_low", middle - 0.1), ("_high", middle + 0.1))
    }
    row |= {"bootstrap_low": 0.3, "bootstrap_high": 0.5, "verdict": "better"}
    untested = {"p_holm": None, "verdict": "not shown", "note": "too few seeds: 2 of 3"}
    rows = [
        {"first": "layerwise", "second": "sft", "seed": "1", "first_step": "4"},
        {"first": "layerwise", "second": "sft", "seed": "0", "first_step": "2"},
        {"first": "layerwise", "second": "sft", "seed": "all", "first_step": "2/4"} | untested,
        {"first": "8-shot", "second": "layerwise", "seed": "1", "first_step": "0"},
        {"first": "sft", "second": "0-shot", "seed": "1", "first_step": "4"},
    ]
    return pd.DataFrame([row | given for given in rows], columns=COLUMNS)


@pytest.fixture
def files(tmp_path: Path, qwen3_tokenizer) -> dict[str, Path]:
    """What the entry point reads, of a run that trained a LoRA adapter."""
    paths = {
        "model": save_model(tmp_path / "tiny", qwen3_tokenizer),
        "checkpoints": save_run(tmp_path / "run", LoraSettings(rank=4)),
        "predictions": tmp_path / "predictions.parquet",
        "test": tmp_path / "test.parquet",
        "demonstrations": tmp_path / "demonstrations.parquet",
        "summary": tmp_path / "summary.csv",
        "comparisons": tmp_path / "comparisons.csv",
        "template": TEMPLATE,
    }
    save(predictions(), paths["predictions"])
    write_examples(paths["test"], EXAMPLES)
    write_examples(paths["demonstrations"], POOL)
    save(summary(), paths["summary"])
    save(comparisons(), paths["comparisons"])
    return paths


@pytest.fixture
def run_export(files: dict[str, Path], tmp_path: Path):
    """Exports with a recipe; returns the folder."""

    def run(recipe: Recipe) -> Path:
        folder = tmp_path / "exported"
        export.main(recipe, **files, card=folder / "README.md")
        return folder

    return run
