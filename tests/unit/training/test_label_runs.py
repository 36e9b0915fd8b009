"""Runs on a choice task: pattern-based and vanilla fine-tuning, context distillation, each adapter.

The student is a random OPT whose embeddings are narrower than its layers, the teacher another OPT.
"""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from tests.tiny_models import save_tiny_model, tiny_model
from tests.unit.training.conftest import NOUNS, run_slice, write_target
from workflow_scripts.config.slices import RunSlice
from workflow_scripts.config.terms import LabelCrossEntropyTerm, LabelKLTerm
from workflow_scripts.config.training import BitFitSettings, FullSettings, LoraSettings
from workflow_scripts.modeling.loading import LocalModel, open_model
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import read_json
from workflow_scripts.tasks.examples import Example
from workflow_scripts.training import run as run_module
from workflow_scripts.training.adapters import student_of
from workflow_scripts.training.phases import Part
from workflow_scripts.training.run import train_run
from workflow_scripts.training.saved_states import ResumeState
from workflow_scripts.training.targets import open_targets

LABELS = ("cats", "mice")
CROSS_ENTROPY = LabelCrossEntropyTerm(objective="label_cross_entropy", weight=0.5)
KL = LabelKLTerm(objective="label_kl", weight=0.5)
# of Mosbach et al. 2023
LORA = LoraSettings(rank=8, alpha=32, dropout=0.05, target_modules=("q_proj", "v_proj"))
ADAPTERS = {
    "lora": LORA,
    "bitfit": BitFitSettings(kind="bitfit"),
    "full": FullSettings(kind="full"),
}
METHODS = {
    "pbft": {"terms": (CROSS_ENTROPY,)},
    "context-distillation": {"terms": (CROSS_ENTROPY, KL)},
    "vanilla-ft": {"terms": (CROSS_ENTROPY,), "head": "classification"},
}


def settings_of(method: str, adapter: str = "lora", **changes: object) -> RunSlice:
    recipe = {
        "steps": 2,
        "checkpoints": [2],
        "train_items": 4,
        "warmup_steps": 0,
        "scheduler": "constant",
        "learning_rate": 0.003 if adapter == "full" else 0.01,
    }
    return run_slice(
        **METHODS[method], labels=LABELS, adapter=ADAPTERS[adapter], **(recipe | changes)
    )


@pytest.fixture(scope="module")
def student(tmp_path_factory, base_tokenizer) -> Path:
    """The manifest of the student's model."""
    return save_tiny_model("opt", base_tokenizer, tmp_path_factory.mktemp("models") / "student")


@pytest.fixture(scope="module")
def choices() -> list[Example]:
    return [Example(f"item-{n}", noun, LABELS[n % 2]) for n, noun in enumerate(NOUNS)]


@pytest.fixture(scope="module")
def teacher(tmp_path_factory, base_tokenizer) -> Path:
    """The manifest of the teacher's model."""
    folder = tmp_path_factory.mktemp("models") / "teacher"
    return save_tiny_model("opt-pre-norm", base_tokenizer, folder)


@pytest.fixture(scope="module")
def target(tmp_path_factory, teacher, choices) -> Path:
    """The manifest of what the teacher says of the labels."""
    (read,) = settings_of("context-distillation").phases[0].reads
    return write_target(tmp_path_factory.mktemp("target"), teacher, choices, read, LABELS)


@pytest.fixture(scope="module")
def train(student, teacher, target, choices, tmp_path_factory):
    """Trains under some settings. Returns the run's folder."""

    def run(
        settings: RunSlice, folder: Path | None = None, model: LocalModel | None = None
    ) -> Path:
        folder = folder or tmp_path_factory.mktemp("run")
        count = len(settings.phases[0].reads)
        targets = open_targets(settings, student, [target] * count, [teacher] * count)
        state = ResumeState.open(folder / ".resume", "a")
        train_run(settings, model or open_model(student), [choices], targets, state, folder)
        return folder

    return run


@pytest.fixture(scope="module")
def trained(train):
    """The run of a method with an adapter, of twenty steps."""
    return cache(lambda *names: train(settings_of(*names, steps=20, checkpoints=[20])))


def log(run: Path) -> pd.DataFrame:
    return pd.read_csv(run / "training_log.csv")


def checkpoint(run: Path) -> dict[str, torch.Tensor]:
    """The tensors of the last checkpoint."""
    last = read_json(run / "checkpoints/manifest.json")["steps"][-1]
    (file,) = (run / f"checkpoints/step-{last}").glob("*.safetensors")
    return load_file(file)


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("method", METHODS)
def test_every_method_learns_with_every_adapter(trained, method, adapter):
    losses = log(trained(method, adapter))["loss"]
    assert losses[-3:].mean() < 0.9 * losses[0]


@pytest.mark.parametrize(
    ("adapter", "names"),
    [
        ("lora", ["adapter_config.json", "adapter_model.safetensors"]),
        ("bitfit", ["biases.safetensors"]),
        ("full", ["config.json", "model.safetensors"]),
    ],
)
def test_a_classifiers_checkpoint_and_its_manifest_hold_what_they_should(trained, adapter, names):
    checkpoints = trained("vanilla-ft", adapter) / "checkpoints"
    assert list(read_json(checkpoints / "manifest.json")["files"]) == [
        f"step-20/{name}" for name in names
    ]
    left = {path.name for path in (checkpoints / "step-20").iterdir()} - {"README.md"}
    assert sorted(left) == names


def test_a_whole_classifiers_config_names_its_labels(trained):
    config = read_json(trained("vanilla-ft", "full") / "checkpoints/step-20/config.json")
    assert config["id2label"] == {"0": "cats", "1": "mice"}
    assert config["label2id"] == {"cats": 0, "mice": 1}


def test_a_language_student_of_labels_has_no_other_head(trained):
    assert not any("score" in name for name in checkpoint(trained("pbft", "lora")))


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_classifier_of_bfloat16_is_trained(train, student, adapter):
    narrow = dataclasses.replace(open_model(student), dtype="bfloat16")
    settings = settings_of("vanilla-ft", adapter, steps=10, checkpoints=[10])
    losses = log(train(settings, model=narrow))["loss"]
    assert losses[-3:].mean() < 0.9 * losses[0]


def test_a_classifiers_head_depends_on_the_seed(student, choices, tmp_path):
    model, state = open_model(student), ResumeState.open(tmp_path, "a")
    one, two, other = (
        run_module.trainer_of(
            settings,
            model,
            run_module._dataset(settings, model, [choices], [{}]),
            state,
            Part.whole(settings),
        ).model.get_parameter("base_model.model.score.modules_to_save.default.weight")
        for settings in (settings_of("vanilla-ft", seed=seed) for seed in (0, 0, 1))
    )
    assert torch.equal(one, two)
    assert not torch.isclose(one, other).any()


def test_the_first_loss_of_labels_is_that_of_the_untrained_model(train, student, choices):
    settings = settings_of("pbft", "full", steps=1, checkpoints=[1])
    dataset = run_module._dataset(settings, open_model(student), [choices], [{}])
    model, losses = tiny_model("opt"), []
    for example in dataset.examples:
        logits = model(torch.tensor([example.rendering.prompt_ids])).logits[0, -1]
        chances = logits[list(example.label_tokens)].softmax(-1)
        losses.append(-chances[example.gold].log().item())
    (first,) = log(train(settings))["label_cross_entropy"]
    assert first == pytest.approx(sum(losses) / 4, rel=1e-4)


def test_a_run_sees_its_first_items_alone(train, monkeypatch):
    """More often than once in a step, where they are fewer than a batch."""
    seen = []
    read = run_module.DistillationDataset.__getitem__

    def note(dataset, index):
        sample = read(dataset, index)
        seen.append(sample.example.item)
        return sample

    monkeypatch.setattr(run_module.DistillationDataset, "__getitem__", note)
    train(settings_of("context-distillation", train_items=2, batch_size=8))
    assert sorted(seen) == ["item-0"] * 8 + ["item-1"] * 8


def test_epochs_are_passes_over_the_items_of_the_run(train):
    settings = settings_of(
        "pbft", train_items=6, batch_size=4, steps=None, epochs=4, checkpoints=[2, 4]
    )
    assert (settings.training.steps, settings.training.checkpoints) == (6, (3, 6))
    assert list(log(train(settings))["step"]) == [1, 2, 3, 4, 5, 6]


def test_a_student_of_labels_reads_no_token_behind_the_prompt(train, student, choices):
    settings = settings_of("pbft", "full", steps=1, checkpoints=[1])
    dataset = run_module._dataset(settings, open_model(student), [choices], [{}])
    prompts = [len(example.rendering.prompt_ids) for example in dataset.examples]
    assert read_json(train(settings) / "cost.json")["tokens"] == sum(prompts)


def test_labels_with_one_first_token_are_refused_before_training(train, choices):
    settings = settings_of("pbft").model_copy(update={"labels": ("cats", "mice", "cats and")})
    with pytest.raises(InputError, match="item item-0: labels 'cats' and 'cats and' begin with"):
        train(settings)


def test_a_classifiers_labels_may_begin_with_one_token(train):
    settings = settings_of("vanilla-ft").model_copy(update={"labels": ("cats", "mice", "cats and")})
    assert len(checkpoint(train(settings))["base_model.model.score.weight"]) == 3


def test_bitfit_without_biases_is_refused_naming_the_model(train, base_tokenizer, tmp_path):
    llama = open_model(save_tiny_model("llama", base_tokenizer, tmp_path / "tiny-llama"))
    with pytest.raises(InputError, match=r"^tiny-llama: has no bias terms to train \(BitFit\)"):
        train(settings_of("pbft", "bitfit"), tmp_path / "run", llama)


def test_bitfit_leaves_everything_else_as_it_was(trained):
    stored = checkpoint(trained("pbft", "bitfit"))
    before = student_of(ADAPTERS["bitfit"], tiny_model("opt"))
    assert stored.keys() == {n for n, _ in before.named_parameters() if n.endswith("bias")}
    moved = [
        name for name, bias in stored.items() if not torch.equal(bias, before.get_parameter(name))
    ]
    assert len(moved) > 0.8 * len(stored)


@pytest.mark.parametrize(("method", "adapter"), [("vanilla-ft", "lora"), ("pbft", "bitfit")])
def test_a_run_of_labels_continues_to_the_same_weights(
    train, tmp_path, monkeypatch, method, adapter
):
    settings = settings_of(method, adapter, steps=4, checkpoints=[2, 4], resume_every=2)
    whole = checkpoint(train(settings, tmp_path / "whole"))
    save = run_module.SaveStates.on_save

    def save_and_die(*arguments, **options):
        save(*arguments, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run_module.SaveStates, "on_save", save_and_die)
        with pytest.raises(KeyboardInterrupt):
            train(settings, tmp_path / "killed")
    continued = checkpoint(train(settings, tmp_path / "killed"))
    assert whole.keys() == continued.keys()
    assert all(torch.equal(weight, continued[name]) for name, weight in whole.items())
