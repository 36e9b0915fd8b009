"""A tiny model in a folder, as the `models` stage leaves it, a task of six examples, and the entry
points that read a target of it.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerBase

from tests.tiny_models import save_tiny_model
from workflow_scripts.config.slices import ContextSettings, TeacherSlice
from workflow_scripts.config.tasks import PromptSettings
from workflow_scripts.config.teachers import TargetSettings
from workflow_scripts.tasks.examples import Example, write_examples
from workflow_scripts.teachers import teacher_shard
from workflow_scripts.teachers.store import TargetStore
from workflow_scripts.teachers.targets import target_name

LABELS = ("cats", "boxes", "knives")


@pytest.fixture
def hidden_target() -> TargetSettings:
    return TargetSettings(kind="hidden", site="block", position="query")


@pytest.fixture
def logit_target() -> TargetSettings:
    return TargetSettings(kind="logits", position="answer", top_k=7, temperature=2.0)


@pytest.fixture
def label_target() -> TargetSettings:
    return TargetSettings(kind="labels", position="prompt")


@pytest.fixture
def model_manifest(tmp_path: Path, smollm2_tokenizer: PreTrainedTokenizerBase) -> Path:
    return save_tiny_model("llama", smollm2_tokenizer, tmp_path / "models" / "tiny")


@pytest.fixture
def examples() -> list[Example]:
    nouns = {"cat": "cats", "box": "boxes", "child": "children", "city": "cities"}
    nouns |= {"dog": "dogs", "knife": "knives"}
    return [Example(f"item-{one}", one, many) for one, many in nouns.items()]


@pytest.fixture
def settings() -> TeacherSlice:
    """Of a teacher with two demonstrations."""
    return TeacherSlice(
        prompt=PromptSettings(system="Answer."),
        system=None,
        context=ContextSettings(shots=2, answers="correct", seed=0),
        labels=LABELS,
        max_unknown=0.0,
        shards=2,
        batch_size=3,
    )


@pytest.fixture
def task(tmp_path: Path, examples: list[Example]) -> Path:
    write_examples(tmp_path / "task" / "train.parquet", examples)
    write_examples(
        tmp_path / "task" / "demonstrations.parquet",
        [Example("d-0", "apple", "apples"), Example("d-1", "mouse", "mice")],
    )
    return tmp_path / "task"


@pytest.fixture
def told(task: Path, model_manifest: Path, tmp_path: Path):
    """The arguments of `teacher_shard`."""

    def arguments(
        settings: TeacherSlice, targets: list[TargetSettings], shard: int
    ) -> dict[str, object]:
        return {
            "settings": settings,
            "targets": targets,
            "model": model_manifest,
            "demonstrations": task / "demonstrations.parquet",
            "examples": task / "train.parquet",
            "shard": shard,
            "manifest": tmp_path / "pass-0" / f"shard-{shard:04d}" / "manifest.json",
        }

    return arguments


@pytest.fixture
def make_shard(told):
    """Makes a shard of these targets; returns its manifest."""

    def make(settings: TeacherSlice, shard: int, *targets: TargetSettings) -> Path:
        arguments = told(settings, list(targets), shard)
        teacher_shard.main(**arguments)
        return arguments["manifest"]

    return make


@pytest.fixture
def open_target(make_shard):
    """Makes both shards of some targets and opens the first target."""

    def make(settings: TeacherSlice, *targets: TargetSettings) -> TargetStore:
        manifests = [make_shard(settings, shard, *targets) for shard in (0, 1)]
        return TargetStore.open(manifests, target_name(targets[0]))

    return make
