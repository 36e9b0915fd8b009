"""A run: what it leaves, that it can be killed and continued, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainerCallback

from tests.unit.training.conftest import TERMS, run_slice
from workflow_scripts.errors import InputError
from workflow_scripts.settings import HiddenTerm, RunSlice
from workflow_scripts.training import run as run_module
from workflow_scripts.training.resume import ResumeState
from workflow_scripts.training.run import train_run
from workflow_scripts.training.signals import open_signals


@pytest.fixture
def train(model, model_manifest, examples, manifests):
    """Trains under some settings in a folder."""

    def run(settings: RunSlice, folder: Path) -> Path:
        names = {term.signal.name for term in settings.terms if term.signal is not None}
        signals = open_signals(
            settings, model_manifest, [path for path in manifests if path.parent.name in names]
        )
        state = ResumeState.open(folder / ".resume", settings.model_dump_json())
        train_run(settings, model, examples, signals, state, folder)
        return folder

    return run


def adapter(folder: Path, step: int) -> dict[str, torch.Tensor]:
    return load_file(folder / f"checkpoints/step-{step}/adapter_model.safetensors")


def log(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "training_log.csv")


def assert_same_adapter(one: Path, other: Path, step: int) -> None:
    first, second = adapter(one, step), adapter(other, step)
    assert first.keys() == second.keys()
    for name, weights in first.items():
        assert torch.equal(weights, second[name]), name


def test_every_output_is_there(train, tmp_path):
    folder = train(run_slice(), tmp_path)
    assert {path.name for path in folder.iterdir()} == {
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


def test_the_loss_is_the_weighted_sum_of_the_logged_terms(train, tmp_path):
    table = log(train(run_slice(), tmp_path))
    total = sum(term.weight * table[term.name] for term in TERMS)
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
    assert_same_adapter(one, two, 4)
    assert any(
        not torch.equal(weights, adapter(other, 4)[name])
        for name, weights in adapter(one, 4).items()
    )


def test_every_condition_sees_the_same_examples_in_the_same_order(train, tmp_path):
    """Warm-up starts from a rate of 0, so two steps see the untouched student."""
    alone = log(train(run_slice(terms=TERMS[:1]), tmp_path / "alone"))["cross_entropy"]
    beside = log(train(run_slice(), tmp_path / "beside"))["cross_entropy"]
    assert alone[:2].tolist() == pytest.approx(beside[:2].tolist(), rel=1e-5)
    assert alone[0] != pytest.approx(alone[1], rel=1e-3)


def test_micro_batches_give_the_losses_of_the_whole_batch(train, tmp_path):
    whole = log(train(run_slice(), tmp_path / "whole"))
    split = log(train(run_slice(micro_batch_size=2), tmp_path / "split"))
    columns = ["loss", *(term.name for term in TERMS)]
    assert split[columns].to_numpy() == pytest.approx(whole[columns].to_numpy(), rel=1e-3)


def test_gradient_checkpointing_changes_nothing(train, tmp_path):
    plain = log(train(run_slice(), tmp_path / "plain"))
    saved = log(train(run_slice(gradient_checkpointing=True), tmp_path / "saved"))
    assert saved["loss"].to_numpy() == pytest.approx(plain["loss"].to_numpy(), rel=1e-4)


class KillAt(TrainerCallback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            raise KeyboardInterrupt


@pytest.mark.parametrize("step", [1, 3])
def test_a_killed_run_continues_to_the_same_adapter(train, tmp_path, monkeypatch, step):
    settings = run_slice()
    whole = train(settings, tmp_path / "whole")

    build = run_module._trainer

    def build_doomed(*arguments):
        trainer = build(*arguments)
        trainer.add_callback(KillAt(step))
        return trainer

    monkeypatch.setattr(run_module, "_trainer", build_doomed)
    with pytest.raises(KeyboardInterrupt):
        train(settings, tmp_path / "killed")
    monkeypatch.undo()
    assert not (tmp_path / "killed/checkpoints").exists()
    killed = train(settings, tmp_path / "killed")
    for checkpoint in (2, 4):
        assert_same_adapter(whole, killed, checkpoint)
    pd.testing.assert_frame_equal(log(whole), log(killed))


def test_a_layer_that_does_not_exist_is_refused_before_training(train, tmp_path):
    term = TERMS[1]
    assert isinstance(term, HiddenTerm)
    settings = run_slice(terms=(TERMS[0], term.model_copy(update={"layers": (0, 9)})))
    with pytest.raises(InputError, match="layer 9 does not exist"):
        train(settings, tmp_path)


def test_a_loss_that_is_no_number_stops_the_run_with_step_and_term(train, tmp_path):
    with pytest.raises(InputError, match=r"step \d: .* is (nan|inf); lower"):
        train(run_slice(learning_rate=1e30, warmup_steps=0, max_grad_norm=1e30), tmp_path)


def test_a_signal_of_another_prompt_is_refused(model_manifest, manifests):
    settings = run_slice()
    other = settings.model_copy(
        update={"prompt": settings.prompt.model_copy(update={"system": "x"})}
    )
    with pytest.raises(InputError, match="made with another prompt"):
        open_signals(other, model_manifest, manifests)


def test_a_missing_signal_is_named(model_manifest, manifests):
    with pytest.raises(InputError, match="hidden-block-query, which is not among"):
        open_signals(run_slice(), model_manifest, [p for p in manifests if "hidden" not in str(p)])
