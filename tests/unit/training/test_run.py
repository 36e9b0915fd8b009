"""A run: what it leaves, that it can be killed and continued, and what it refuses."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainerCallback

from tests.outputs import visible
from tests.unit.training.conftest import LORA, TERMS, run_slice
from workflow_scripts.config.slices import RunSlice
from workflow_scripts.config.terms import HiddenTerm
from workflow_scripts.config.training import FullSettings
from workflow_scripts.modeling.hidden_states import decoder_layers
from workflow_scripts.modeling.loading import LocalModel
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.teachers.targets import teacher_target_name
from workflow_scripts.training import run as run_module
from workflow_scripts.training.phases import Part
from workflow_scripts.training.run import train_run
from workflow_scripts.training.saved_states import ResumeState
from workflow_scripts.training.targets import open_targets
from workflow_scripts.training.terms import term_name
from workflow_scripts.training.trainer import DistillationTrainer

FULL = FullSettings(kind="full")


@pytest.fixture
def train(model, model_manifest, examples, manifests):
    """Trains under some settings in a folder."""

    def run(settings: RunSlice, folder: Path, model: LocalModel = model) -> Path:
        targets = open_targets(
            settings,
            model_manifest,
            *manifests_of(settings, manifests, model_manifest),
        )
        state = ResumeState.open(folder / ".resume", settings.model_dump_json())
        given = [examples] * len(settings.phases)
        train_run(settings, model, given, targets, state, folder)
        return folder

    return run


@pytest.fixture
def build_trainer(model_manifest, examples, manifests, tmp_path):
    """The trainer of a run, ready to train."""

    def build(settings: RunSlice, model: LocalModel) -> DistillationTrainer:
        targets = open_targets(
            settings,
            model_manifest,
            *manifests_of(settings, manifests, model_manifest),
        )
        dataset = run_module._dataset(settings, model, [examples], targets)
        state = ResumeState.open(tmp_path, "a")
        return run_module.trainer_of(settings, model, dataset, state, Part.whole(settings))

    return build


def manifests_of(settings, manifests, model_manifest) -> tuple[list[Path], list[Path]]:
    """Manifests of the targets that the phases read, and of the model that teaches each."""
    reads = [read for phase in settings.phases for read in phase.reads]
    return [manifests[teacher_target_name(read)] for read in reads], [model_manifest] * len(reads)


def weights(folder: Path, step: int) -> dict[str, torch.Tensor]:
    (file,) = (folder / f"checkpoints/step-{step}").glob("*.safetensors")
    return load_file(file)


def log(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "training_log.csv")


def assert_same_weights(one: Path, other: Path, step: int) -> None:
    first, second = weights(one, step), weights(other, step)
    assert first.keys() == second.keys()
    for name, weight in first.items():
        assert torch.equal(weight, second[name]), name


def test_every_output_is_there(train, tmp_path):
    folder = train(run_slice(), tmp_path)
    assert visible(folder) == {
        "checkpoints",
        "cost.json",
        "tensorboard",
        "training_log.csv",
    }
    manifest = json.loads((folder / "checkpoints/manifest.json").read_text())
    assert manifest["steps"] == [2, 4]
    cost = json.loads((folder / "cost.json").read_text())
    assert cost["tokens"] > 0
    assert cost["wall_seconds"] > 0
    assert cost["cpu_seconds"] > 0
    assert (cost["processes"], cost["dtype"]) == (1, "float32")


def test_the_loss_is_the_weighted_sum_of_the_logged_terms(train, tmp_path):
    table = log(train(run_slice(), tmp_path))
    total = sum(term.weight * table[term_name(term)] for term in TERMS)
    assert list(table["step"]) == [1, 2, 3, 4]
    assert table["loss"].to_numpy() == pytest.approx(total.to_numpy(), rel=1e-3)


def test_warm_up_then_cosine_sets_the_learning_rate(train, tmp_path):
    rates = log(train(run_slice(), tmp_path))["learning_rate"]
    assert rates.tolist() == pytest.approx([0.0, 0.01, 0.0075, 0.0025], abs=1e-6)


def test_the_same_seed_gives_the_same_adapter_and_another_does_not(train, tmp_path):
    one, two, other = (
        train(run_slice(seed=seed), tmp_path / name)
        for seed, name in ((0, "one"), (0, "two"), (1, "other"))
    )
    assert_same_weights(one, two, 4)
    assert any(
        not torch.equal(weight, weights(other, 4)[name]) for name, weight in weights(one, 4).items()
    )


def test_every_condition_sees_the_same_examples_in_the_same_order(train, tmp_path):
    """Warm-up starts from a rate of 0, so two steps see the base student."""
    alone = log(train(run_slice(terms=TERMS[:1]), tmp_path / "alone"))["cross_entropy"]
    beside = log(train(run_slice(), tmp_path / "beside"))["cross_entropy"]
    assert alone[:2].tolist() == pytest.approx(beside[:2].tolist(), rel=1e-5)
    assert alone[0] != pytest.approx(alone[1], rel=1e-3)


def test_an_untrained_students_shift_is_one_in_each_layer(train, tmp_path):
    """The term reads two layers, and the first step sees the base student."""
    shift = TERMS[4]
    first = log(train(run_slice(), tmp_path))[term_name(shift)][0]
    assert first == pytest.approx(len(shift.layers), rel=1e-3)


def test_micro_batches_give_the_losses_of_the_whole_batch(train, tmp_path):
    whole = log(train(run_slice(), tmp_path / "whole"))
    split = log(train(run_slice(micro_batch_size=2), tmp_path / "split"))
    columns = ["loss", *(term_name(term) for term in TERMS)]
    assert split[columns].to_numpy() == pytest.approx(whole[columns].to_numpy(), rel=1e-3)


@pytest.mark.parametrize("adapter", [LORA, FULL], ids=["lora", "full"])
@pytest.mark.parametrize("micro_batch_size", [None, 2])
def test_gradient_checkpointing_changes_nothing(train, tmp_path, adapter, micro_batch_size):
    """Of any term, nor of the gradients: the steps see what the steps before have changed."""
    settings = {"adapter": adapter, "micro_batch_size": micro_batch_size}
    plain = log(train(run_slice(**settings), tmp_path / "plain"))
    saved = log(train(run_slice(**settings, gradient_checkpointing=True), tmp_path / "saved"))
    columns = ["loss", "grad_norm", *(term_name(term) for term in TERMS)]
    assert saved[columns].to_numpy() == pytest.approx(plain[columns].to_numpy(), rel=1e-4)


@pytest.mark.parametrize("adapter", [LORA, FULL], ids=["lora", "full"])
def test_gradient_checkpointing_runs_layers_again(build_trainer, model, adapter):
    passes = {}
    for saving in (False, True):
        trainer = build_trainer(
            run_slice(adapter=adapter, steps=1, checkpoints=[1], gradient_checkpointing=saving),
            model,
        )
        calls = []
        decoder_layers(trainer.model)[0].register_forward_pre_hook(
            lambda *_, seen=calls: seen.append(1)
        )
        trainer.train()
        passes[saving] = len(calls)
    assert passes == {False: 1, True: 2}


def test_each_layer_learns_at_its_own_rate_after_warm_up(build_trainer, model):
    settings = run_slice(
        adapter=FULL, layer_decay=0.5, warmup_steps=2, scheduler="constant_with_warmup"
    )
    trainer = build_trainer(settings, model)
    seen = []
    trainer.add_callback(
        Watch(lambda optimizer: seen.append({group["lr"] for group in optimizer.param_groups}))
    )
    trainer.train()
    # three layers; the rate after warm-up is 0.01, of the head and of the last layer
    whole = [0.01, 0.005, 0.0025, 0.00125]
    assert sorted(seen[-1], reverse=True) == pytest.approx(whole)
    assert sorted(seen[0], reverse=True) == pytest.approx([rate / 2 for rate in whole])


def test_the_logged_learning_rate_is_the_highest(train, tmp_path):
    rates = log(train(run_slice(layer_decay=0.5), tmp_path))["learning_rate"]
    assert rates.tolist() == pytest.approx([0.0, 0.01, 0.0075, 0.0025], abs=1e-6)


def test_a_whole_model_of_bfloat16_is_trained_in_mixed_precision(build_trainer, model):
    narrow = dataclasses.replace(model, dtype="bfloat16")
    precision = {
        (settings.adapter.kind, fetched.dtype): build_trainer(settings, fetched).args.bf16
        for settings in (run_slice(), run_slice(adapter=FULL))
        for fetched in (model, narrow)
    }
    assert precision == {
        ("lora", "float32"): False,
        ("lora", "bfloat16"): False,
        ("full", "float32"): False,
        ("full", "bfloat16"): True,
    }


def test_a_run_of_full_fine_tuning_leaves_whole_models(train, tmp_path, model):
    narrow = dataclasses.replace(model, dtype="bfloat16")
    folder = train(run_slice(adapter=FULL), tmp_path, narrow)
    manifest = json.loads((folder / "checkpoints/manifest.json").read_text())
    names = ("config.json", "generation_config.json", "model.safetensors")
    assert list(manifest["files"]) == [f"step-{step}/{name}" for step in (2, 4) for name in names]
    first, last = (
        load_file(folder / f"checkpoints/step-{step}/model.safetensors") for step in (2, 4)
    )
    assert {weight.dtype for weight in last.values()} == {torch.bfloat16}
    assert not any(torch.equal(first[name], last[name]) for name in last)


def test_full_fine_tuning_fits_the_answers(train, tmp_path):
    settings = run_slice(terms=TERMS[:1], adapter=FULL, steps=12, checkpoints=[12])
    losses = log(train(settings, tmp_path))["cross_entropy"]
    assert losses[9:].mean() < 0.5 * losses[:2].mean()


class KillAt(TrainerCallback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            raise KeyboardInterrupt


class Watch(TrainerCallback):
    """Shows the optimizer to a function after each of its steps."""

    def __init__(self, look) -> None:
        self.look = look

    def on_step_end(self, args, state, control, **kwargs):
        self.look(kwargs["optimizer"])


@pytest.mark.parametrize(
    "settings",
    [run_slice(), run_slice(layer_decay=0.5), run_slice(adapter=FULL)],
    ids=["lora", "layer decay", "full"],
)
@pytest.mark.parametrize("step", [1, 3])
def test_a_killed_run_continues_to_the_same_weights(train, tmp_path, monkeypatch, step, settings):
    whole = train(settings, tmp_path / "whole")

    build = run_module.trainer_of

    def build_doomed(*arguments):
        trainer = build(*arguments)
        trainer.add_callback(KillAt(step))
        return trainer

    monkeypatch.setattr(run_module, "trainer_of", build_doomed)
    with pytest.raises(KeyboardInterrupt):
        train(settings, tmp_path / "killed")
    monkeypatch.undo()
    assert not (tmp_path / "killed/checkpoints").exists()
    killed = train(settings, tmp_path / "killed")
    for checkpoint in (2, 4):
        assert_same_weights(whole, killed, checkpoint)
    pd.testing.assert_frame_equal(log(whole), log(killed))


def test_a_layer_that_does_not_exist_is_refused_before_training(train, tmp_path):
    term = TERMS[1]
    assert isinstance(term, HiddenTerm)
    settings = run_slice(terms=(TERMS[0], term.model_copy(update={"layers": (0, 9)})))
    with pytest.raises(InputError, match="layer 9 does not exist"):
        train(settings, tmp_path)


def test_a_loss_that_is_no_number_stops_the_run_with_step_and_term(train, tmp_path):
    broken = r"step \d: (cross_entropy|hidden-block-query|grad_norm) is (nan|inf); lower"
    with pytest.raises(InputError, match=broken):
        train(run_slice(learning_rate=1e30, warmup_steps=0, max_grad_norm=1e30), tmp_path)
