"""Two tasks of a few words, and small models of both kinds that are trained on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from workflow_scripts.config.models import ModelSource
from workflow_scripts.config.slices import PretrainingSlice
from workflow_scripts.config.tasks import PromptSettings
from workflow_scripts.modeling.loading import LocalModel, open_model
from workflow_scripts.pretraining.run import pretrain
from workflow_scripts.tasks.examples import Example

NOUNS = ["cat", "dog", "box", "day"]
EXAMPLES = {
    "plurals": [Example(noun, f"Plural of {noun}?", f"{noun}s") for noun in NOUNS],
    "numbers": [Example("one", "one", "1"), Example("twelve", "twelve", "12")],
}
PROMPTS = {
    "plurals": PromptSettings(plain_question="{question}\n"),
    "numbers": PromptSettings(system="Write digits."),
}
ARCHITECTURES = {"scratch:t5": "encoder-decoder", "scratch:gpt2": "causal"}


def slice_of(source: str, **scratch: Any) -> PretrainingSlice:
    settings = {
        "tasks": list(PROMPTS),
        "vocabulary": 300,
        "layers": 1,
        "width": 32,
        "heads": 4,
        "context": 64,
        "steps": 3,
        "batch_size": 8,
        "learning_rate": 0.01,
    }
    model = {
        "source": source,
        "architecture": ARCHITECTURES[source],
        "dtype": "float32",
        "scratch": settings | scratch,
    }
    return PretrainingSlice(model=ModelSource.model_validate(model), prompts=PROMPTS)


def make(source: str, folder: Path, **scratch: Any) -> LocalModel:
    pretrain(slice_of(source, **scratch), EXAMPLES, folder)
    return open_model(folder / "manifest.json")


@pytest.fixture(scope="session", params=ARCHITECTURES)
def source(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def model(source: str, tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    return make(source, tmp_path_factory.mktemp("scratch") / "tiny")
