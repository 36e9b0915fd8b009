"""The top-k Jensen-Shannon divergence: plain formula, limits, bound, tail and gradient."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from tests.unit.training.objectives.draws import VOCABULARY, bucketed, draw, top_k
from workflow_scripts.training.objectives.logit_jsd import topk_jsd
from workflow_scripts.training.objectives.logit_kl import topk_kl
from workflow_scripts.training.objectives.logit_reverse_kl import topk_reverse_kl

BETA = 0.3


def plain(p, q, beta=BETA):
    m = beta * p + (1 - beta) * q
    return beta * (p * (p / m).log()).sum(-1) + (1 - beta) * (q * (q / m).log()).sum(-1)


def jsd(student, target, temperature):
    return topk_jsd(student, target, temperature, BETA)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("k", [1, 4, VOCABULARY - 1])
def test_equals_the_bucketed_formula(k, temperature):
    teacher, student = draw(0), draw(1)
    target = top_k(teacher, k, temperature)
    p, q = (bucketed(logits, target.indices, temperature) for logits in (teacher, student))
    expected = temperature**2 * plain(p, q)
    torch.testing.assert_close(
        jsd(student, target, temperature).double(), expected, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_is_exact_when_k_covers_the_vocabulary(temperature):
    teacher, student = draw(0), draw(1)
    log_p, log_q = ((logits / temperature).log_softmax(-1) for logits in (teacher, student))
    log_m = (BETA * log_p.exp() + (1 - BETA) * log_q.exp()).log()
    exact = BETA * functional.kl_div(log_m, log_p, log_target=True, reduction="none").sum(-1)
    exact += (1 - BETA) * functional.kl_div(log_m, log_q, log_target=True, reduction="none").sum(-1)
    divergence = jsd(student, top_k(teacher, VOCABULARY, temperature), temperature)
    torch.testing.assert_close(divergence.double(), temperature**2 * exact, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("k", [4, VOCABULARY])
def test_a_small_beta_acts_as_forward_kl_and_a_large_one_as_reverse_kl(k):
    """Divided by beta, or by 1 - beta: GKD, section 2."""
    teacher, student = top_k(draw(0) / 4, k, 2.0), draw(1) / 4
    small, large = (topk_jsd(student, teacher, 2.0, beta) for beta in (1e-3, 1 - 1e-3))
    torch.testing.assert_close(small / 1e-3, topk_kl(student, teacher, 2.0), rtol=2e-2, atol=1e-3)
    torch.testing.assert_close(
        large / 1e-3, topk_reverse_kl(student, teacher, 2.0), rtol=2e-2, atol=1e-3
    )


def test_half_is_symmetric():
    one, other = draw(0), draw(1)
    forth = topk_jsd(one, top_k(other, VOCABULARY, 2.0), 2.0, 0.5)
    back = topk_jsd(other, top_k(one, VOCABULARY, 2.0), 2.0, 0.5)
    torch.testing.assert_close(forth, back, rtol=1e-5, atol=1e-6)


def test_is_at_most_the_entropy_of_the_mixture():
    """Of ln 2 nats where both halves are of different tokens."""
    one = torch.full((1, VOCABULARY), -50.0, dtype=torch.float64)
    other = one.clone()
    one[0, 0], other[0, 1] = 50.0, 50.0
    divergence = topk_jsd(one, top_k(other, VOCABULARY, 1.0), 1.0, 0.5)
    assert divergence.item() == pytest.approx(0.6931, abs=1e-4)
    assert topk_jsd(one, top_k(other, VOCABULARY, 1.0), 1.0, BETA).item() == pytest.approx(
        0.6109, abs=1e-4
    )
