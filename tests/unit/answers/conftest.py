"""A model with two checkpoints, questions, and the settings of their answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.evaluation.conftest import SETTINGS as COMPLETION
from tests.unit.evaluation.conftest import files
from workflow_scripts.config.slices import AnswersSlice
from workflow_scripts.config.tasks import GenerationSettings
from workflow_scripts.tasks.examples import Example, write_examples

__all__ = ["files"]

SETTINGS = AnswersSlice(
    **COMPLETION.model_dump() | {"labels": None},
    scorer="word",
    samples=1,
    temperature=0.0,
    seed=0,
).model_copy(update={"generation": GenerationSettings(max_new_tokens=8)})
QUESTIONS = [
    Example(f"q{n}", question, "gold", columns={"hint": f"hint {n}"})
    for n, question in enumerate(("cat", "mouse", "box", "What is the plural of knife?", "apple"))
]


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    write_examples(tmp_path / "train.parquet", QUESTIONS)
    return tmp_path / "train.parquet"
