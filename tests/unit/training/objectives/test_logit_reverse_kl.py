"""The top-k reverse KL against the plain formula in float64: tail, factor and gradient."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from tests.unit.training.objectives.draws import VOCABULARY, bucketed, draw, top_k
from workflow_scripts.training.objectives.logit_kl import topk_kl
from workflow_scripts.training.objectives.logit_reverse_kl import topk_reverse_kl
from workflow_scripts.training.objectives.top_k import RESOLUTION


def plain(p, q):
    """KL(q ‖ p)."""
    return (q * (q / p).log()).sum(-1)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("k", [1, 4, VOCABULARY - 1])
def test_equals_the_bucketed_formula(k, temperature):
    teacher, student = draw(0), draw(1)
    target = top_k(teacher, k, temperature)
    p, q = (bucketed(logits, target.indices, temperature) for logits in (teacher, student))
    expected = temperature**2 * plain(p, q)
    found = topk_reverse_kl(student, target, temperature).double()
    # of the logarithm of the teacher's bucket, which the student's mass in it weights
    unknown = temperature**2 * q[:, -1] * RESOLUTION / p[:, -1]
    assert ((found - expected).abs() <= 1e-5 + 1e-4 * expected + unknown).all()


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_is_exact_when_k_covers_the_vocabulary(temperature):
    teacher, student = draw(0), draw(1)
    log_p, log_q = ((logits / temperature).log_softmax(-1) for logits in (teacher, student))
    exact = functional.kl_div(log_p, log_q, log_target=True, reduction="none").sum(-1)
    divergence = topk_reverse_kl(student, top_k(teacher, VOCABULARY, temperature), temperature)
    torch.testing.assert_close(divergence.double(), temperature**2 * exact, rtol=1e-5, atol=1e-6)


def test_is_the_forward_kl_with_both_sides_exchanged():
    one, other = draw(0), draw(1)
    forward = topk_kl(one, top_k(other, VOCABULARY, 2.0), 2.0)
    reverse = topk_reverse_kl(other, top_k(one, VOCABULARY, 2.0), 2.0)
    torch.testing.assert_close(reverse, forward, rtol=1e-5, atol=1e-6)


def test_tokens_that_the_student_leaves_out_cost_little_and_those_it_adds_much():
    """Forward KL is the other way round."""
    two = torch.tensor([[3.0, 3.0, -9.0, -9.0]], dtype=torch.float64)
    one = torch.tensor([[9.0, -3.0, -9.0, -9.0]], dtype=torch.float64)
    leaving_out = topk_reverse_kl(one, top_k(two, 4, 1.0), 1.0)
    adding = topk_reverse_kl(two, top_k(one, 4, 1.0), 1.0)
    assert leaving_out.item() == pytest.approx(0.693, abs=1e-2)
    assert adding.item() > 5
