"""The top-k KL against the plain formula in float64, its tail, its factor and its gradient."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from tests.unit.training.objectives.draws import VOCABULARY, bucketed, draw, top_k
from workflow_scripts.training.objectives.logit_kl import topk_kl


def bucketed_kl(teacher, student, indices, temperature):
    p, q = bucketed(teacher, indices, temperature), bucketed(student, indices, temperature)
    return temperature**2 * (p * (p / q).log()).sum(-1)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("k", [1, 4, VOCABULARY - 1])
def test_equals_the_bucketed_formula(k, temperature):
    teacher, student = draw(0), draw(1)
    target = top_k(teacher, k, temperature)
    expected = bucketed_kl(teacher, student, target.indices, temperature)
    torch.testing.assert_close(
        topk_kl(student, target, temperature).double(), expected, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_is_the_exact_kl_when_k_covers_the_vocabulary(temperature):
    teacher, student = draw(0), draw(1)
    exact = functional.kl_div(
        (student / temperature).log_softmax(-1),
        (teacher / temperature).log_softmax(-1),
        log_target=True,
        reduction="none",
    ).sum(-1)
    divergence = topk_kl(student, top_k(teacher, VOCABULARY, temperature), temperature)
    torch.testing.assert_close(divergence.double(), temperature**2 * exact, rtol=1e-5, atol=1e-6)


def test_gradient_is_finite_when_the_top_k_holds_all_the_mass():
    teacher = torch.full((1, VOCABULARY), -200.0, dtype=torch.float64)
    teacher[0, 3] = 50.0
    student = draw(1)[:1].requires_grad_()
    topk_kl(student, top_k(teacher, 4, 1.0), 1.0).sum().backward()
    assert student.grad.isfinite().all()
