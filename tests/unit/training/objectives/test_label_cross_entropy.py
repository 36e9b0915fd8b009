"""Cross-entropy over the labels, against the formula written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.unit.training.conftest import label_outputs
from workflow_scripts.config.terms import LabelCrossEntropyTerm
from workflow_scripts.training.objectives.label_cross_entropy import label_cross_entropy

TERM = LabelCrossEntropyTerm(objective="label_cross_entropy")
LOGITS = np.array([[1.0, -2.0, 0.5], [3.0, 3.0, 3.0], [-1.0, 4.0, 0.0], [0.0, 0.0, 9.0]])
GOLD = [1, 0, 1, 0]


def test_is_the_mean_of_minus_the_log_of_the_correct_labels_probability():
    probabilities = np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)
    expected = -np.log(probabilities[range(4), GOLD]).mean()
    value = label_cross_entropy(TERM, label_outputs(torch.tensor(LOGITS), GOLD))
    assert value.item() == pytest.approx(expected, rel=1e-6)


def test_gradient_is_probability_minus_target():
    logits = torch.tensor(LOGITS, requires_grad=True)
    label_cross_entropy(TERM, label_outputs(logits, GOLD)).backward()
    expected = (logits.softmax(-1) - torch.eye(3)[GOLD]) / 4
    torch.testing.assert_close(logits.grad, expected.detach(), rtol=1e-5, atol=1e-6)


def test_two_labels_that_are_as_likely_cost_one_bit():
    value = label_cross_entropy(TERM, label_outputs(torch.tensor([[7.0, 7.0]]), [1]))
    assert value.item() == pytest.approx(np.log(2))
