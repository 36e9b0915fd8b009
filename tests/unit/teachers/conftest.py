"""A tiny model in a folder, as the `models` stage leaves it, and a task of six examples."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerBase

from tests.tiny_models import CONTEXT, LAYERS, VOCABULARY, WIDTH, tiny_model
from workflow_scripts.files import write_json
from workflow_scripts.settings import (
    ContextSettings,
    PromptSettings,
    SignalSettings,
    TeacherPassSettings,
    TeacherSlice,
)
from workflow_scripts.tasks.examples import Example


@pytest.fixture
def hidden_signal() -> SignalSettings:
    return SignalSettings(kind="hidden", site="block", position="query")


@pytest.fixture
def logit_signal() -> SignalSettings:
    return SignalSettings(kind="logits", position="answer", top_k=7, temperature=2.0)


@pytest.fixture
def model_manifest(tmp_path: Path, smollm2_tokenizer: PreTrainedTokenizerBase) -> Path:
    folder = tmp_path / "models" / "tiny"
    tiny_model("llama").save_pretrained(folder)
    smollm2_tokenizer.save_pretrained(folder)
    manifest = folder / "manifest.json"
    write_json(
        manifest,
        {
            "source": "tiny",
            "revision": None,
            "dtype": "float32",
            "layers": LAYERS,
            "width": WIDTH,
            "vocabulary": VOCABULARY,
            "context_length": CONTEXT,
            "chat_template_sha256": "0" * 64,
            "files": {"model.safetensors": "0" * 64},
        },
    )
    return manifest


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
            teacher_pass=TeacherPassSettings(part_size=4, batch_size=3),
        )

    return make
