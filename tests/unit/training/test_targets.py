"""Which targets a run accepts: its own model's, and another model's where they can be compared."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import OPTConfig, OPTForCausalLM

from tests.tiny_models import CONTEXT, VOCABULARY, save_model, save_tiny_model
from tests.tiny_tokenizers import build_tokenizer
from workflow_scripts.config.slices import (
    ContextSettings,
    PhaseSlice,
    RunSlice,
    TeacherSlice,
    TeacherTarget,
)
from workflow_scripts.config.tasks import PromptSettings
from workflow_scripts.config.terms import HiddenTerm, LabelKLTerm, LogitKLTerm, Term, ULDTerm
from workflow_scripts.config.training import LoraSettings, TrainingSettings
from workflow_scripts.modeling.loading import load_tokenizer, load_weights, open_model
from workflow_scripts.prompts.formats import Demonstration
from workflow_scripts.prompts.label_tokens import label_tokens
from workflow_scripts.prompts.rendering import (
    Renderer,
)
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import read_json, write_json
from workflow_scripts.teachers.manifest import describe_teacher
from workflow_scripts.teachers.store import write_shard
from workflow_scripts.teachers.targets import target_name
from workflow_scripts.teachers.teacher_pass import run_teacher_pass
from workflow_scripts.training.recipes import in_steps
from workflow_scripts.training.targets import open_targets
from workflow_scripts.training.terms import targets_of

LABELS = ("cats", "mice")
PROMPT = PromptSettings()
CONTEXT_OF_TEACHER = ContextSettings(shots=1, answers="correct", seed=0)
SHOWN = [Demonstration("mouse", "mice")]
HIDDEN = HiddenTerm(
    objective="hidden",
    weight=1,
    site="block",
    layers="all",
    position="query",
    normalize=True,
    reduction="sum",
)
LOGITS = LogitKLTerm(
    objective="logit_kl", weight=1, position="prompt", temperature=1, top_k=8, reduction="mean"
)
SORTED = ULDTerm(objective="uld", weight=1, top_k=8)
OF_LABELS = LabelKLTerm(objective="label_kl", weight=1)


def run_of(*terms: Term) -> RunSlice:
    phase = PhaseSlice(
        terms=terms,
        reads=tuple(
            TeacherTarget(teacher=name, system=None, context=CONTEXT_OF_TEACHER, target=target)
            for name, target in targets_of(terms, "few-shot")
        ),
        author="gold",
        demonstrations=None,
        train_items=1,
        steps=1,
    )
    return RunSlice(
        prompt=PROMPT,
        labels=LABELS if OF_LABELS in terms else None,
        teacher="few-shot",
        phases=(phase,),
        head="language",
        adapter=LoraSettings(),
        training=in_steps(TrainingSettings(steps=1, checkpoints=(1,)), 1),
        seed=0,
    )


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[str, Path]:
    """Manifests of OPT models: a student, a larger one, and one with another vocabulary.

    Embeddings of the larger ones are narrower than their states, as those of OPT-350M.
    """
    folder = tmp_path_factory.mktemp("models")
    tokenizer, other = build_tokenizer(None), build_tokenizer(None)
    other.add_tokens(["zebra"])
    return {
        "small": save_model(_small_opt(), tokenizer, folder / "small"),
        "large": save_tiny_model("opt", tokenizer, folder / "large"),
        "foreign": save_tiny_model("opt", other, folder / "foreign"),
    }


def _small_opt() -> OPTForCausalLM:
    torch.manual_seed(0)
    config = OPTConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        word_embed_proj_dim=16,
        ffn_dim=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=CONTEXT,
    )
    return OPTForCausalLM(config)


@pytest.fixture(scope="module")
def targets(models, tmp_path_factory):
    """The manifest of each target that a run reads, taken from one of the models."""
    folder = tmp_path_factory.mktemp("targets")

    def made(run: RunSlice, model: str) -> list[Path]:
        manifests = []
        for read in run.phases[0].reads:
            place = folder / model / target_name(read.target)
            manifests.append(place / "manifest.json")
            if not manifests[-1].exists():
                _make(read, models[model], place)
        return manifests

    return made


def _make(read: TeacherTarget, model: Path, folder: Path) -> None:
    local = open_model(model)
    renderer = Renderer(load_tokenizer(local), PROMPT, SHOWN)
    settings = TeacherSlice(
        prompt=PROMPT,
        system=None,
        context=read.context,
        labels=LABELS,
        max_unknown=0,
        shards=1,
        batch_size=1,
    )
    (tensors,) = run_teacher_pass(
        load_weights(local),
        renderer.render(["cat"], ["cats"]),
        [read.target],
        batch_size=1,
        labels=label_tokens(renderer, ["cat"], ["cat"], LABELS),
    )
    teacher = describe_teacher(settings, model, SHOWN)
    write_shard(folder, (0, 1), ["cat"], teacher, [(read.target, tensors)], LABELS)


@pytest.fixture
def opened(models, targets):
    """The stores of a run of the small model whose teacher is some model."""

    def stores(run: RunSlice, teacher: str):
        manifests = targets(run, teacher)
        (stores,) = open_targets(
            run, models["small"], manifests, [models[teacher]] * len(manifests)
        )
        return stores

    return stores


def test_targets_are_named_by_teacher_and_target(opened):
    assert list(opened(run_of(HIDDEN, LOGITS, OF_LABELS), "small")) == [
        "few-shot/hidden-block-query",
        "few-shot/logits-prompt-top8-t1",
        "few-shot/labels",
    ]


# --- another model as teacher -------------------------------------------------------------


def test_a_larger_model_of_the_same_vocabulary_teaches_logits_and_labels(opened):
    stores = opened(run_of(LOGITS, OF_LABELS), "large")
    assert stores["few-shot/logits-prompt-top8-t1"].read("cat")["values"].shape == (1, 8)
    assert stores["few-shot/labels"].read("cat")["logprobs"].shape == (1, len(LABELS))


def test_logits_over_another_vocabulary_are_refused(opened):
    with pytest.raises(InputError) as caught:
        opened(run_of(LOGITS), "foreign")
    assert str(caught.value) == (
        "conditions' teacher few-shot: foreign and the student small have different vocabularies, "
        "so their logits cannot be matched token by token; use uld, which needs no common "
        "vocabulary, or label_kl"
    )


def test_logits_of_a_base_model_are_refused_for_a_student_with_a_chat_template(
    models, targets, tmp_path
):
    run = run_of(LOGITS)
    base = tmp_path / "base" / "manifest.json"
    write_json(base, read_json(models["large"]) | {"chat_template_sha256": None})
    with pytest.raises(InputError) as caught:
        open_targets(run, models["small"], targets(run, "large"), [base])
    assert str(caught.value) == (
        "conditions' teacher few-shot: base and the student small begin answers with different "
        "tokens, because only one of them has a chat template; use uld, which needs no common "
        "vocabulary, or label_kl"
    )


def test_labels_may_be_taught_over_another_vocabulary(opened):
    assert opened(run_of(OF_LABELS), "foreign")["few-shot/labels"].read("cat")


def test_sorted_logits_may_be_taught_over_another_vocabulary(opened):
    row = opened(run_of(SORTED), "foreign")["few-shot/sorted-answer-top8-t1"].read("cat")
    assert row["values"].shape[1] == 8
    assert set(row["vocabulary"].tolist()) == {VOCABULARY}


def test_sorted_logits_of_a_base_model_may_teach_a_student_with_a_chat_template(
    models, targets, tmp_path
):
    run = run_of(SORTED)
    chat = tmp_path / "chat" / "manifest.json"
    write_json(chat, read_json(models["small"]) | {"chat_template_sha256": "1" * 64})
    assert open_targets(run, chat, targets(run, "large"), [models["large"]])


def test_hidden_states_of_another_model_are_refused(opened):
    with pytest.raises(InputError, match="large and the student small are different models"):
        opened(run_of(HIDDEN), "large")


def test_a_target_of_another_model_than_the_teachers_is_refused(models, targets):
    run = run_of(OF_LABELS)
    with pytest.raises(InputError, match="made with another "):
        open_targets(run, models["small"], targets(run, "foreign"), [models["large"]])


# --- targets of another run ---------------------------------------------------------------


def test_a_target_of_another_prompt_is_refused(opened):
    other = run_of(LOGITS).model_copy(update={"prompt": PromptSettings(system="x")})
    with pytest.raises(InputError, match="made with another prompt"):
        opened(other, "small")


def test_a_target_of_other_labels_is_refused(opened):
    other = run_of(OF_LABELS).model_copy(update={"labels": ("mice", "cats")})
    with pytest.raises(InputError, match="made with another labels"):
        opened(other, "small")


def test_another_teachers_target_is_refused(opened):
    run = run_of(LOGITS)
    context = CONTEXT_OF_TEACHER.model_copy(update={"shots": 0})
    (phase,) = run.phases
    other = phase.reads[0].model_copy(update={"context": context})
    changed = phase.model_copy(update={"reads": (other,)})
    with pytest.raises(InputError, match="made with another context"):
        opened(run.model_copy(update={"phases": (changed,)}), "small")


def test_targets_in_another_order_are_refused(models, targets):
    run = run_of(HIDDEN, LOGITS)
    with pytest.raises(InputError, match="holds no target hidden-block-query"):
        open_targets(run, models["small"], targets(run, "small")[::-1], [models["small"]] * 2)


def test_a_missing_target_is_refused(models, targets):
    run = run_of(HIDDEN, LOGITS)
    with pytest.raises(InputError, match=r"--targets: those of 1 targets, but the run reads few-s"):
        open_targets(run, models["small"], targets(run, "small")[:1], [models["small"]] * 2)


def test_a_target_without_its_model_is_refused(models, targets):
    run = run_of(HIDDEN, LOGITS)
    with pytest.raises(InputError, match="--teacher-models: those of 1 targets, but the run reads"):
        open_targets(run, models["small"], targets(run, "small"), [models["small"]])
