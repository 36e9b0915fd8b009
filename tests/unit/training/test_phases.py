"""Runs of several phases: what each trains on, and that one goes on from the other."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from tests.unit.training.conftest import (
    NOUNS,
    POOL,
    TERMS,
    in_phases,
    phase_slice,
    run_slice,
    write_target,
)
from workflow_scripts.config.slices import ContextSettings, PhaseSlice, RunSlice
from workflow_scripts.config.terms import LabelCrossEntropyTerm
from workflow_scripts.config.training import LoraSettings
from workflow_scripts.runtime.errors import Diverged, InputError
from workflow_scripts.runtime.files import read_json
from workflow_scripts.tasks.examples import Example, draw_examples, write_examples
from workflow_scripts.teachers.targets import teacher_target_name
from workflow_scripts.training import run as run_module
from workflow_scripts.training import train, trainer
from workflow_scripts.training.phases import Part
from workflow_scripts.training.run import train_run
from workflow_scripts.training.saved_states import ResumeState
from workflow_scripts.training.targets import open_targets
from workflow_scripts.training.terms import reads_answers, term_name

CROSS_ENTROPY, STATES, LOGITS = TERMS[:3]
# dropout draws random numbers at every step
DROPOUT = LoraSettings(rank=4, alpha=8, dropout=0.2)


@pytest.fixture
def run(model, model_manifest, examples, manifests, tmp_path):
    """Trains phases, each on its own examples. Returns the run's folder."""

    def trained(
        *phases: PhaseSlice,
        given: list[list[Example]] | None = None,
        folder: Path | None = None,
        **recipe: object,
    ) -> Path:
        settings = in_phases(run_slice(**recipe), *phases)
        reads = [read for phase in phases for read in phase.reads]
        targets = open_targets(
            settings,
            model_manifest,
            [manifests[teacher_target_name(read)] for read in reads],
            [model_manifest] * len(reads),
        )
        folder = folder or tmp_path / "run"
        state = ResumeState.open(folder / ".resume", settings.model_dump_json())
        train_run(settings, model, given or [examples] * len(phases), targets, state, folder)
        return folder

    return trained


def log(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "training_log.csv")


def weights(folder: Path, step: int) -> dict[str, torch.Tensor]:
    return load_file(folder / f"checkpoints/step-{step}/adapter_model.safetensors")


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(w, other[n]) for n, w in one.items())


def test_each_step_logs_the_terms_of_its_phase_alone(run):
    table = log(run(phase_slice((STATES,), 2), phase_slice((CROSS_ENTROPY, LOGITS), 2)))
    names = [term_name(term) for term in (STATES, CROSS_ENTROPY, LOGITS)]
    assert list(table) == ["step", "loss", *names, "grad_norm", "learning_rate"]
    assert table[names].notna().to_numpy().tolist() == [
        *[[True, False, False]] * 2,
        *[[False, True, True]] * 2,
    ]
    total = 0.5 * table[names[0]].fillna(0) + table[names[1]].fillna(0)
    total += 0.5 * table[names[2]].fillna(0)
    assert table["loss"].to_numpy() == pytest.approx(total.to_numpy(), rel=1e-3)


def test_the_schedule_goes_on_across_phases(run):
    rates = log(run(phase_slice((STATES,), 1), phase_slice((CROSS_ENTROPY,), 3)))["learning_rate"]
    assert rates.tolist() == pytest.approx([0.0, 0.01, 0.0075, 0.0025], abs=1e-6)


def test_a_first_phase_trains_as_a_run_of_it_alone(run, tmp_path):
    recipe = {"scheduler": "constant", "adapter": DROPOUT, "checkpoints": [2]}
    phase = phase_slice((STATES,), 2)
    alone = run(phase, folder=tmp_path / "alone", **recipe)
    first = run(phase, phase_slice((CROSS_ENTROPY,), 2), **recipe)
    assert same(weights(alone, 2), weights(first, 2))


def test_each_phase_trains_on_its_own_examples(run, examples, monkeypatch):
    seen = []
    read = run_module.DistillationDataset.__getitem__

    def note(dataset, index):
        sample = read(dataset, index)
        seen.append((sample.phase, sample.example.item))
        return sample

    monkeypatch.setattr(run_module.DistillationDataset, "__getitem__", note)
    run(
        phase_slice((CROSS_ENTROPY,), 2),
        phase_slice((STATES,), 2, train_items=2),
        given=[examples[:3], examples[5:]],
    )
    assert sorted(set(seen)) == [
        *[(0, f"item-{noun}") for noun in sorted(NOUNS[:3])],
        *[(1, f"item-{noun}") for noun in sorted(NOUNS[5:7])],
    ]
    assert len(seen) == 16


def test_a_target_of_one_name_is_that_of_the_phase(
    model, model_manifest, examples, manifests, tmp_path
):
    """Answers of two authors have targets of the same name and different data."""
    phase = phase_slice((LOGITS,), 1)
    (read,) = phase.reads
    longer = [Example(e.item, e.question, "many more words") for e in examples]
    other = write_target(tmp_path / "other", model_manifest, longer, read)
    settings = in_phases(run_slice(), phase, phase)
    given = [manifests[teacher_target_name(read)], other]
    targets = open_targets(settings, model_manifest, given, [model_manifest] * 2)
    dataset = run_module._dataset(settings, model, [examples, longer], targets)
    for index in (0, len(examples)):
        sample = dataset[index]
        (fields,) = sample.targets.values()
        assert len(fields["values"]) == len(sample.example.rendering.answer_ids)


@pytest.mark.parametrize("step", [1, 2, 3, 4, 5])
def test_a_run_killed_in_any_phase_or_between_two_ends_as_if_it_never_was(
    run, tmp_path, monkeypatch, step
):
    """A state is saved after every second step; the first phase ends after the third.

    step: the last one that was whole.
    """
    phases = (phase_slice((STATES,), 3), phase_slice((CROSS_ENTROPY, LOGITS), 3))
    recipe = {"adapter": DROPOUT, "steps": 6, "checkpoints": [3, 6], "micro_batch_size": 2}
    whole = run(*phases, folder=tmp_path / "whole", **recipe)
    ended = run_module.SaveStates.on_step_end

    def end_and_die(self, args, state, control, **kwargs):
        if state.global_step == step + 1:
            raise KeyboardInterrupt
        ended(self, args, state, control, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(run_module.SaveStates, "on_step_end", end_and_die)
        with pytest.raises(KeyboardInterrupt):
            run(*phases, folder=tmp_path / "killed", **recipe)
    killed = run(*phases, folder=tmp_path / "killed", **recipe)
    assert all(same(weights(whole, kept), weights(killed, kept)) for kept in (3, 6))
    pd.testing.assert_frame_equal(log(whole), log(killed))


def test_a_loss_that_is_no_number_names_a_term_of_its_own_phase(run, monkeypatch):
    objectives = trainer.OBJECTIVES
    broken = type(objectives["cross_entropy"])(
        reads=objectives["cross_entropy"].reads,
        loss=lambda term, student: student.logit_loss(
            "answer", lambda logits, rows: logits.sum(-1) * float("nan")
        ),
    )
    monkeypatch.setitem(objectives, "cross_entropy", broken)
    with pytest.raises(Diverged, match="step 3: cross_entropy is nan"):
        run(phase_slice((STATES,), 2), phase_slice((CROSS_ENTROPY,), 2))


# --- demonstrations and unanswered items ---------------------------------------------------


def test_a_phase_on_demonstrations_trains_on_those_that_are_drawn(
    model_manifest, tmp_path, monkeypatch
):
    shown = ContextSettings(shots=1, answers="correct", seed=0)
    write_examples(tmp_path / "pool.parquet", POOL)
    settings = in_phases(
        run_slice(terms=(CROSS_ENTROPY,), checkpoints=[2]),
        phase_slice((CROSS_ENTROPY,), 2, demonstrations=shown, train_items=1),
    )
    given = []
    monkeypatch.setattr(train, "train_run", lambda *arguments, **_: given.append(arguments[2]))
    train.main(settings, model_manifest, [tmp_path / "pool.parquet"], [], [], tmp_path / "run")
    assert given == [[draw_examples(POOL, shown)]]
    assert len(given[0][0]) == 1


def test_a_file_of_examples_is_needed_for_each_phase(model_manifest, tmp_path):
    settings = in_phases(run_slice(), *[phase_slice((CROSS_ENTROPY,), 2)] * 2)
    with pytest.raises(InputError, match="--examples: 1 files, but the run has 2 phases"):
        train.main(settings, model_manifest, [tmp_path / "a"], [], [], tmp_path / "run")


def test_states_of_the_question_are_learned_from_unanswered_items(run, examples, tmp_path):
    """With any answer the student would be the same."""
    unanswered = [Example(e.item, e.question, None) for e in examples]
    phase = phase_slice((STATES, TERMS[3]), 4)
    answered = run(phase, folder=tmp_path / "answered")
    without = run(phase, given=[unanswered], folder=tmp_path / "without")
    assert same(weights(answered, 4), weights(without, 4))


def test_a_term_that_reads_an_answer_needs_one(run, examples):
    unanswered = [*examples[:2], Example("bare", "cow", None)]
    with pytest.raises(InputError, match=r"^item bare: has no answer, but the term logit_kl reads"):
        run(phase_slice((STATES, LOGITS), 4), given=[unanswered])


def test_an_answer_that_is_no_label_is_refused_where_labels_are_read(model, examples):
    labels = ("dogs", "knifes")
    gold = LabelCrossEntropyTerm(objective="label_cross_entropy")
    settings = run_slice(terms=(gold,), labels=labels)
    with pytest.raises(InputError, match="item item-cat: its answer 'cats' is none of the labels"):
        run_module._dataset(settings, model, [examples], [{}])


@pytest.mark.parametrize(
    ("term", "reads"), [(t, t.objective in ("cross_entropy", "logit_kl")) for t in TERMS]
)
def test_terms_at_the_question_read_no_answer(term, reads):
    assert reads_answers(term) == reads


def test_the_correct_label_is_read_of_the_answer():
    assert reads_answers(LabelCrossEntropyTerm(objective="label_cross_entropy"))


def test_a_phase_without_examples_is_refused(run, examples):
    with pytest.raises(InputError, match="the examples of phase 1 are empty"):
        run(*[phase_slice((CROSS_ENTROPY,), 2)] * 2, given=[examples, []])


def test_a_whole_run_is_all_of_its_phases():
    settings: RunSlice = in_phases(run_slice(), *[phase_slice((STATES,), 2)] * 2)
    assert Part.whole(settings) == Part((0, 1), 4, (2, 4))


def test_the_manifest_of_a_run_of_phases_is_that_of_any_run(run):
    folder = run(phase_slice((STATES,), 2), phase_slice((CROSS_ENTROPY,), 2))
    manifest = read_json(folder / "checkpoints/manifest.json")
    assert (list(manifest), manifest["steps"]) == (["files", "steps"], [2, 4])
