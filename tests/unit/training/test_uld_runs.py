"""Runs across tokenizers: every family of students, taught by a T5 and by another causal model."""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.tiny_models import save_model, save_tiny_model, tiny_model
from tests.unit.training.conftest import run_slice, write_target
from tests.unit.training.objectives.draws import value_of
from workflow_scripts.config.slices import RunSlice
from workflow_scripts.config.terms import CrossEntropyTerm, ULDTerm
from workflow_scripts.config.training import BitFitSettings, FullSettings, LoraSettings
from workflow_scripts.modeling.checkpoint_switch import Switch
from workflow_scripts.modeling.loading import load_weights, open_model
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.training import run as run_module
from workflow_scripts.training.batches import Collator
from workflow_scripts.training.forward import ForwardPlan, student_outputs
from workflow_scripts.training.objectives.uld import uld
from workflow_scripts.training.run import train_run
from workflow_scripts.training.saved_states import ResumeState
from workflow_scripts.training.targets import open_targets
from workflow_scripts.training.trainer import teachers_targets

STUDENTS = ("gpt2", "gpt_neox", "llama")
ATTENTION = LoraSettings(rank=4, alpha=16, target_modules="attention")
CROSS_ENTROPY = CrossEntropyTerm(objective="cross_entropy", weight=0.1)
# as in the study, and with a tail
BY_INDEX = ULDTerm(objective="uld", weight=1, temperature=1.2)
BY_TEXT = ULDTerm(objective="uld", weight=1, temperature=1.2, alignment="text", top_k=20)


@pytest.fixture(scope="module")
def models(tmp_path_factory, base_tokenizer, t5_tokenizer) -> dict[str, Path]:
    """Manifests: students with a byte-level tokenizer, teachers with pieces of words.

    One teacher has more tokens than the students, the other one fewer.
    """
    folder = tmp_path_factory.mktemp("models")
    made = {name: save_tiny_model(name, base_tokenizer, folder / name) for name in STUDENTS}
    for name, family, tokens in (("t5", "t5", 150), ("causal", "opt", 500)):
        teacher = tiny_model(family)
        teacher.resize_token_embeddings(tokens)
        made[name] = save_model(teacher, t5_tokenizer, folder / name)
    return made


@pytest.fixture(scope="module")
def target_of(models, examples, tmp_path_factory):
    """The manifest of what a term reads of a teacher."""

    @cache
    def made(teacher: str, term: ULDTerm) -> Path:
        (read,) = run_slice(terms=(term,)).phases[0].reads
        return write_target(tmp_path_factory.mktemp("target"), models[teacher], examples, read)

    return made


def settings_of(term: ULDTerm, adapter=ATTENTION, **changes: object) -> RunSlice:
    recipe = {"steps": 8, "checkpoints": [8], "warmup_steps": 0, "scheduler": "constant"}
    rate = {"learning_rate": 0.003 if isinstance(adapter, FullSettings) else 0.02}
    return run_slice(adapter=adapter, **({"terms": (term,)} | recipe | rate | changes))


@pytest.fixture
def train(models, target_of, examples, tmp_path):
    """Trains a student on a teacher's target, and measures the term over all of its examples.

    Returns its value for the base model, and for the last checkpoint loaded again.
    """

    def run(student: str, teacher: str, settings: RunSlice) -> tuple[float, float]:
        model, term = open_model(models[student]), settings.phases[0].terms[-1]
        targets = open_targets(
            settings, models[student], [target_of(teacher, term)], [models[teacher]]
        )
        state = ResumeState.open(tmp_path / ".resume", "a")
        train_run(settings, model, [examples], targets, state, tmp_path)

        plan = ForwardPlan.of(settings.phases[0].terms)
        dataset = run_module._dataset(settings, model, [examples], targets)
        batch = Collator(plan.positions)([dataset[index] for index in range(len(dataset))])
        weights = load_weights(model)
        last = tmp_path / "checkpoints/step-8"
        switch = Switch(model, weights, AutoModelForCausalLM, {"trained": last})

        @torch.no_grad()
        def measured(checkpoint: str | None) -> float:
            with switch.to(checkpoint):
                outputs = student_outputs(weights, batch, plan)
                loss = uld(term, outputs, *teachers_targets(settings, term, batch["targets"]))
                return value_of(loss, outputs).item()

        return measured(None), measured("trained")

    return run


@pytest.mark.parametrize("term", [BY_INDEX, BY_TEXT], ids=["index", "text"])
@pytest.mark.parametrize("teacher", ["t5", "causal"])
@pytest.mark.parametrize("student", STUDENTS)
def test_a_student_comes_nearer_to_a_teacher_with_another_tokenizer(train, student, teacher, term):
    before, after = train(student, teacher, settings_of(term))
    assert 0 < after < 0.9 * before


@pytest.mark.parametrize(
    "adapter",
    [LoraSettings(rank=4), BitFitSettings(kind="bitfit"), FullSettings(kind="full")],
    ids=["all-linear", "bitfit", "full"],
)
def test_whatever_is_trained_comes_nearer(train, adapter):
    before, after = train("gpt2", "t5", settings_of(BY_TEXT, adapter))
    assert after < 0.9 * before


def test_the_log_holds_the_term_and_its_weight_counts(train, tmp_path):
    train("gpt2", "t5", settings_of(BY_INDEX, terms=(CROSS_ENTROPY, BY_INDEX)))
    log = pd.read_csv(tmp_path / "training_log.csv")
    total = 0.1 * log["cross_entropy"] + log["uld"]
    assert log["loss"].to_numpy() == pytest.approx(total.to_numpy(), rel=1e-3)


def test_micro_batches_take_the_steps_of_the_whole_batch(train, tmp_path):
    train("llama", "causal", settings_of(BY_TEXT))
    whole = pd.read_csv(tmp_path / "training_log.csv")
    train("llama", "causal", settings_of(BY_TEXT, micro_batch_size=2))
    split = pd.read_csv(tmp_path / "training_log.csv")
    assert split["uld"].to_numpy() == pytest.approx(whole["uld"].to_numpy(), rel=1e-3)


def test_the_log_of_the_job_says_what_is_trained(train, capsys):
    train("gpt2", "t5", settings_of(BY_INDEX))
    # of three layers: (32 + 96) · 4 and (32 + 32) · 4
    assert (
        "LoRA of rank 4 on attn.c_attn, attn.c_proj: 2,304 weights of " in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("changes", "kind"),
    [({"architecture": "encoder-decoder"}, "encoder-decoder"), ({"quantization": "nf4"}, "nf4")],
)
def test_a_model_that_only_teaches_is_refused_as_a_student(models, examples, changes, kind):
    model = dataclasses.replace(open_model(models["gpt2"]), folder=Path("away"), **changes)
    with pytest.raises(InputError) as caught:
        train_run(settings_of(BY_INDEX), model, [examples], [{}], ResumeState(Path("a")), Path("b"))
    assert str(caught.value) == f"away: is {kind}, and such a model only teaches; train another"
