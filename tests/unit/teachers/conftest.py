"""A tiny model in a folder, as the `models` stage leaves it, and a task of six examples."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerBase

from tests.tiny_models import save_tiny_model
from workflow_scripts.settings import (
    ContextSettings,
    PromptSettings,
    SignalSettings,
    TeacherPassSettings,
    TeacherSlice,
)
from workflow_scripts.tasks.examples import Example

LABELS = ("cats", "boxes", "knives")


@pytest.fixture
def hidden_signal() -> SignalSettings:
    return SignalSettings(kind="hidden", site="block", position="query")


@pytest.fixture
def logit_signal() -> SignalSettings:
    return SignalSettings(kind="logits", position="answer", top_k=7, temperature=2.0)


@pytest.fixture
def label_signal() -> SignalSettings:
    return SignalSettings(kind="labels", position="prompt")


@pytest.fixture
def model_manifest(tmp_path: Path, smollm2_tokenizer: PreTrainedTokenizerBase) -> Path:
    return save_tiny_model("llama", smollm2_tokenizer, tmp_path / "models" / "tiny")


@pytest.fixture
def examples() -> list[Example]:
    nouns = {"cat": "cats", "box": "boxes", "child": "children", "city": "cities"}
    nouns |= {"dog": "dogs", "knife": "knives"}
    return [Example(f"item-{one}", one, many) for one, many in nouns.items()]


@pytest.fixture
def slice_of():
    """The settings of a teacher with two demonstrations that leaves some signal."""

    def make(signal: SignalSettings) -> TeacherSlice:
        return TeacherSlice(
            prompt=PromptSettings(system="Answer."),
            context=ContextSettings(shots=2, answers="correct", seed=0),
            signal=signal,
            labels=LABELS if signal.kind == "labels" else None,
            teacher_pass=TeacherPassSettings(part_size=4, batch_size=3),
        )

    return make
