"""A tiny model, eleven examples and the signals of a two-shot teacher, all on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerBase

from tests.tiny_models import save_tiny_model
from workflow_scripts.engines.loading import LocalModel, load_tokenizer, load_weights, open_model
from workflow_scripts.files import write_json
from workflow_scripts.rendering import Renderer
from workflow_scripts.settings import (
    ContextSettings,
    CrossEntropyTerm,
    HiddenTerm,
    LogitKLTerm,
    LogitMSETerm,
    LoraSettings,
    PromptSettings,
    RunSlice,
    TeacherPassSettings,
    TeacherSlice,
    Term,
    TrainingSettings,
)
from workflow_scripts.tasks.examples import Example, draw_demonstrations
from workflow_scripts.teachers.manifest import build_manifest, describe
from workflow_scripts.teachers.store import write_part
from workflow_scripts.teachers.teacher_pass import run_teacher_pass

NOUNS = ["cat", "dog", "apple", "box", "clip", "friend", "knife", "child", "city", "mouse", "day"]
PROMPT = PromptSettings(system="Answer.")
TERMS: tuple[Term, ...] = (
    CrossEntropyTerm(objective="cross_entropy"),
    HiddenTerm(
        objective="hidden",
        weight=0.5,
        site="block",
        layers="all",
        position="query",
        normalize=True,
        reduction="sum",
    ),
    LogitKLTerm(
        objective="logit_kl",
        weight=0.5,
        position="answer",
        temperature=2.0,
        top_k=8,
        reduction="mean",
    ),
    LogitMSETerm(objective="logit_mse", weight=0.1, position="prompt", top_k=8, reduction="mean"),
)


@pytest.fixture(scope="session")
def model_manifest(
    tmp_path_factory: pytest.TempPathFactory, smollm2_tokenizer: PreTrainedTokenizerBase
) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    return save_tiny_model("qwen3", smollm2_tokenizer, folder)


@pytest.fixture(scope="session")
def model(model_manifest: Path) -> LocalModel:
    return open_model(model_manifest)


@pytest.fixture(scope="session")
def examples() -> list[Example]:
    return [Example(f"item-{noun}", noun, f"{noun}s") for noun in NOUNS]


@pytest.fixture(scope="session")
def manifests(
    model_manifest: Path,
    model: LocalModel,
    examples: list[Example],
    tmp_path_factory: pytest.TempPathFactory,
) -> list[Path]:
    """One signal for each distilling term, made as the teacher stage makes it."""
    context = ContextSettings(shots=2, answers="correct", seed=0)
    shown = draw_demonstrations(
        [Example("d0", "clip", "clips"), Example("d1", "day", "days")], context
    )
    renderings = Renderer(load_tokenizer(model), PROMPT, shown).render(
        [e.question for e in examples], [e.answer for e in examples]
    )
    manifests = []
    for term in TERMS:
        if term.signal is None:
            continue
        folder = tmp_path_factory.mktemp("teachers") / term.signal.name
        settings = TeacherSlice(
            prompt=PROMPT,
            context=context,
            signal=term.signal,
            teacher_pass=TeacherPassSettings(),
        )
        write_part(
            folder / "part-0000.safetensors",
            [example.item for example in examples],
            run_teacher_pass(load_weights(model), renderings, term.signal, batch_size=4),
            describe(settings, model_manifest, shown),
        )
        manifest = build_manifest(settings, model_manifest, [folder / "part-0000.safetensors"])
        write_json(folder / "manifest.json", manifest)
        manifests.append(folder / "manifest.json")
    return manifests


def run_slice(terms: tuple[Term, ...] = TERMS, seed: int = 0, **training: object) -> RunSlice:
    recipe = {
        "steps": 4,
        "checkpoints": [2, 4],
        "batch_size": 4,
        "learning_rate": 0.01,
        "warmup_steps": 1,
        "resume_every": 2,
    }
    return RunSlice(
        prompt=PROMPT,
        terms=terms,
        adapter=LoraSettings(rank=4, alpha=8),
        training=TrainingSettings.model_validate(recipe | training),
        seed=seed,
    )
