"""Checkpoints with a classification head: the probability of every label, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import log_softmax

from tests.tiny_classifiers import save_classifier
from workflow_scripts.config.training import BitFitSettings, FullSettings, LoraSettings
from workflow_scripts.engines.classifier import Classifier, are_classifiers
from workflow_scripts.modeling.loading import LocalModel
from workflow_scripts.runtime.errors import InputError

SaveModel = Callable[[str], LocalModel]

LABELS = ("Yes", "No", "Maybe")
LORA = LoraSettings(rank=4)
BITFIT = BitFitSettings(kind="bitfit")
FULL = FullSettings(kind="full")
# of several lengths, one with the padding token in its middle
PROMPTS = [(7, 8, 9, 10), (5,), (6, 0, 11, 12, 9, 30), (6, 8)]


def losses_one_by_one(student: Any, prompts: Sequence[Sequence[int]]) -> Tensor:
    """Each prompt in a batch of its own, without padding."""
    with torch.no_grad():
        logits = [student(input_ids=torch.tensor([ids])).logits[0] for ids in prompts]
    return -log_softmax(torch.stack(logits).float(), dim=-1)


@pytest.mark.parametrize(
    ("family", "adapter"),
    [
        ("opt", LORA),
        ("opt", BITFIT),
        ("opt", FULL),
        ("opt-pre-norm", BITFIT),
        ("llama", LORA),
        ("llama", FULL),
        ("gpt2", BITFIT),
    ],
)
def test_batched_labels_are_as_likely_as_for_the_student_that_was_trained(
    family, adapter, local_model: SaveModel, tmp_path: Path
):
    model = local_model(family)
    student = save_classifier(model, adapter, 3, tmp_path / "step-1")
    classifier = Classifier(model, LABELS, 2, {"step-1": tmp_path / "step-1"})
    expected = losses_one_by_one(student, PROMPTS)
    torch.testing.assert_close(
        classifier.label_losses(PROMPTS, "step-1"), expected, rtol=1e-4, atol=1e-5
    )
    assert len(expected.unique(dim=0)) > 1


@pytest.mark.parametrize("adapter", [LORA, BITFIT, FULL], ids=["lora", "bitfit", "full"])
def test_each_checkpoint_has_a_head_of_its_own(adapter, local_model: SaveModel, tmp_path: Path):
    model = local_model("opt")
    students, folders = {}, {}
    for seed in (1, 2):
        folders[f"step-{seed}"] = tmp_path / f"step-{seed}"
        students[f"step-{seed}"] = save_classifier(
            model, adapter, 3, tmp_path / f"step-{seed}", seed
        )
    classifier = Classifier(model, LABELS, 4, folders)
    for name in ("step-2", "step-1", "step-2"):
        torch.testing.assert_close(
            classifier.label_losses(PROMPTS, name),
            losses_one_by_one(students[name], PROMPTS),
            rtol=1e-4,
            atol=1e-5,
        )


def test_a_head_that_was_trained_in_float32_serves_a_bfloat16_model(
    local_model: SaveModel, tmp_path: Path
):
    model = replace(local_model("llama"), dtype="bfloat16")
    student = save_classifier(model, LORA, 3, tmp_path / "step-1")
    measured = Classifier(model, LABELS, 4, {"step-1": tmp_path / "step-1"}).label_losses(
        PROMPTS, "step-1"
    )
    assert measured.dtype == torch.float32
    torch.testing.assert_close(measured, losses_one_by_one(student, PROMPTS), rtol=0.05, atol=0.05)


def test_a_head_for_another_number_of_labels_is_refused(local_model: SaveModel, tmp_path: Path):
    model = local_model("llama")
    save_classifier(model, LORA, 3, tmp_path / "step-1")
    with pytest.raises(InputError, match=r"step-1: its classification head has 3 labels.* task 2"):
        Classifier(model, ("Yes", "No"), 4, {"step-1": tmp_path / "step-1"})


def test_a_classifier_of_another_model_is_refused(local_model: SaveModel, tmp_path: Path):
    save_classifier(local_model("opt"), BITFIT, 3, tmp_path / "step-1")
    with pytest.raises(InputError, match="not a checkpoint of this model"):
        Classifier(local_model("gpt2"), LABELS, 4, {"step-1": tmp_path / "step-1"})


@pytest.mark.parametrize("adapter", [LORA, BITFIT, FULL], ids=["lora", "bitfit", "full"])
def test_a_checkpoint_with_a_classification_head_is_known(
    adapter, local_model: SaveModel, tmp_path: Path
):
    save_classifier(local_model("opt"), adapter, 3, tmp_path / "step-1")
    assert are_classifiers([tmp_path / "step-1"])


@pytest.mark.parametrize("kind", ["adapter", "biases", "whole_model"])
def test_a_checkpoint_with_a_language_head_is_no_classifier(kind, request):
    assert not are_classifiers([request.getfixturevalue(kind)("opt", 1)])


def test_the_untouched_model_is_no_classifier():
    assert not are_classifiers([])
