"""A tiny model, eleven examples and the targets of two teachers, all on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from tests.tiny_models import save_tiny_model
from workflow_scripts.config.conditions import Head
from workflow_scripts.config.slices import (
    ContextSettings,
    PhaseSlice,
    RunSlice,
    TeacherSlice,
    TeacherTarget,
)
from workflow_scripts.config.tasks import PromptSettings
from workflow_scripts.config.terms import (
    CrossEntropyTerm,
    DeltaHiddenTerm,
    HiddenTerm,
    LogitKLTerm,
    LogitMSETerm,
    Term,
)
from workflow_scripts.config.training import Adapter, LoraSettings, TrainingSettings
from workflow_scripts.modeling.loading import LocalModel, load_tokenizer, load_weights, open_model
from workflow_scripts.prompts.label_tokens import label_tokens
from workflow_scripts.prompts.rendering import RENDERERS
from workflow_scripts.tasks.examples import Example, draw_demonstrations
from workflow_scripts.teachers.manifest import describe_teacher
from workflow_scripts.teachers.store import write_shard
from workflow_scripts.teachers.targets import teacher_target_name
from workflow_scripts.teachers.teacher_pass import run_teacher_pass
from workflow_scripts.training.objectives.outputs import StudentOutputs
from workflow_scripts.training.recipes import in_steps
from workflow_scripts.training.terms import reads_of, targets_of

NOUNS = ["cat", "dog", "apple", "box", "clip", "friend", "knife", "child", "city", "mouse", "day"]
POOL = [Example("d0", "clip", "clips"), Example("d1", "day", "days")]
PROMPT = PromptSettings(system="Answer.")
LORA = LoraSettings(rank=4, alpha=8)
TEACHERS = {
    name: ContextSettings(shots=shots, answers="correct", seed=0)
    for name, shots in (("few-shot", 2), ("zero-shot", 0))
}
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
    DeltaHiddenTerm(
        objective="delta_hidden",
        weight=0.5,
        site="attention",
        layers=(0, 2),
        position="prompt",
        reference="zero-shot",
        normalize=True,
        reduction="sum",
    ),
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
    model_manifest: Path, examples: list[Example], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """The manifest of each target's shard, made as the teacher stage makes it."""
    return {
        teacher_target_name(read): write_target(
            tmp_path_factory.mktemp("teachers") / teacher_target_name(read),
            model_manifest,
            examples,
            read,
        )
        for read in run_slice().phases[0].reads
    }


def write_target(
    folder: Path,
    teacher: Path,
    examples: list[Example],
    read: TeacherTarget,
    labels: tuple[str, ...] | None = None,
) -> Path:
    """Makes a target in a folder as the teacher stage does. Returns its only shard's manifest.

    teacher: manifest of the model that teaches.
    """
    shown = draw_demonstrations(POOL, read.context)
    model = open_model(teacher)
    renderer = RENDERERS[model.architecture](load_tokenizer(model), PROMPT, shown)
    items = [example.item for example in examples]
    questions = [example.question for example in examples]
    renderings = renderer.render(questions, [example.answer for example in examples])
    settings = TeacherSlice(
        prompt=PROMPT,
        system=None,
        context=read.context,
        labels=labels,
        max_unknown=0,
        shards=1,
        batch_size=4,
    )
    tokens = label_tokens(renderer, questions, items, labels) if labels else ()
    (tensors,) = run_teacher_pass(load_weights(model), renderings, [read.target], 4, tokens)
    described = describe_teacher(settings, teacher, shown)
    write_shard(folder, (0, 1), items, described, [(read.target, tensors)], labels or ())
    return folder / "manifest.json"


def run_slice(
    terms: tuple[Term, ...] = TERMS,
    seed: int = 0,
    adapter: Adapter = LORA,
    labels: tuple[str, ...] | None = None,
    head: Head = "language",
    train_items: int = len(NOUNS),
    **training: object,
) -> RunSlice:
    """A run of one phase."""
    recipe = {
        "steps": 4,
        "checkpoints": [2, 4],
        "batch_size": 4,
        "learning_rate": 0.01,
        "warmup_steps": 0 if training.get("scheduler") == "constant" else 1,
        "resume_every": 2,
    }
    teacher = "few-shot" if any(reads_of(term).target for term in terms) else None
    steps = in_steps(TrainingSettings.model_validate(recipe | training), train_items)
    return RunSlice(
        prompt=PROMPT,
        labels=labels,
        teacher=teacher,
        phases=(phase_slice(terms, steps.steps, train_items=train_items),),
        head=head,
        adapter=adapter,
        training=steps,
        seed=seed,
    )


def phase_slice(terms: tuple[Term, ...], steps: int, **changes: object) -> PhaseSlice:
    """A phase on gold answers; its terms read the few-shot teacher."""
    given = {
        "terms": terms,
        "reads": tuple(
            TeacherTarget(teacher=name, system=None, context=TEACHERS[name], target=target)
            for name, target in targets_of(terms, "few-shot")
        ),
        "author": "gold",
        "demonstrations": None,
        "train_items": len(NOUNS),
        "steps": steps,
    }
    return PhaseSlice(**(given | changes))


def in_phases(run: RunSlice, *phases: PhaseSlice) -> RunSlice:
    """The run with these phases in place of its own."""
    steps = sum(phase.steps for phase in phases)
    training = run.training.model_copy(update={"steps": steps})
    return run.model_copy(update={"phases": phases, "training": training, "teacher": "few-shot"})


def label_outputs(logits: Tensor, gold: list[int]) -> StudentOutputs:
    """What objectives see of a batch that is read at its labels alone."""
    return StudentOutputs(
        examples={},
        logits={},
        states={},
        answers=torch.empty(0),
        boundaries=torch.empty(0),
        label_logits=logits,
        gold=torch.tensor(gold),
        batch_size=len(gold),
        zero=torch.zeros(()),
    )
