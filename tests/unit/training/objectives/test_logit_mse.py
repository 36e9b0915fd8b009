"""Raw logits matched on the teacher's top k."""

from __future__ import annotations

import pytest
import torch

from workflow_scripts.teachers.targets import TopK
from workflow_scripts.training.objectives.logit_mse import topk_squared_distance


@pytest.fixture
def student() -> torch.Tensor:
    return torch.tensor([[1.0, 2.0, 3.0, 4.0]])


@pytest.fixture
def teacher() -> TopK:
    return TopK(torch.tensor([[5.0, 1.0]]), torch.tensor([[3, 0]]), torch.zeros(1), 1.0)


@pytest.mark.parametrize(("reduction", "expected"), [("sum", 1.0), ("mean", 0.5)])
def test_compares_the_kept_tokens_only(student, teacher, reduction, expected):
    assert topk_squared_distance(student, teacher, reduction).item() == expected


def test_gradient_is_zero_outside_the_top_k(student, teacher):
    student.requires_grad_()
    topk_squared_distance(student, teacher, "sum").sum().backward()
    assert student.grad.tolist() == [[0.0, 0.0, 0.0, -2.0]]


def test_gradient_check(teacher):
    logits = torch.randn(1, 4, dtype=torch.float64, requires_grad=True)
    topk_squared_distance(logits, teacher, "sum").sum().backward()
    expected = torch.zeros_like(logits)
    expected[0, 3] = 2 * (logits[0, 3] - 5)
    expected[0, 0] = 2 * (logits[0, 0] - 1)
    torch.testing.assert_close(logits.grad, expected.detach(), rtol=1e-5, atol=1e-5)
