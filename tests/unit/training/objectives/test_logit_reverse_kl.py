"""The top-k reverse KL against the plain formula in float64: tail, factor and gradient."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from tests.unit.training.objectives.draws import POSITIONS, VOCABULARY, bucketed, draw, top_k
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


@pytest.mark.parametrize("k", [1, 4, VOCABULARY - 1])
def test_is_never_more_than_the_whole_divergence(k):
    teacher, student = draw(0), draw(1)
    whole = topk_reverse_kl(student, top_k(teacher, VOCABULARY, 2.0), 2.0)
    assert (topk_reverse_kl(student, top_k(teacher, k, 2.0), 2.0) <= whole + 1e-5).all()


def test_is_zero_for_the_teacher_itself():
    teacher = draw(0)
    divergence = topk_reverse_kl(teacher, top_k(teacher, 4, 2.0), 2.0)
    torch.testing.assert_close(divergence, torch.zeros(POSITIONS), atol=1e-5, rtol=0)


def test_charges_student_mass_outside_the_top_k():
    """Renormalising both sides to the top k would give zero here."""
    teacher = draw(0)
    target = top_k(teacher, 4, 1.0)
    student = teacher.scatter_add(
        -1, teacher.argsort()[:, :5], torch.full((POSITIONS, 5), 20.0, dtype=torch.float64)
    )
    assert (topk_reverse_kl(student, target, 1.0) > 0.1).all()


def test_gradient_matches_finite_differences():
    target = top_k(draw(0), 4, 2.0)
    student = draw(1).requires_grad_()
    topk_reverse_kl(student, target, 2.0).sum().backward()
    step = 1e-2  # the loss itself is float32
    for column in range(0, VOCABULARY, 5):
        shift = torch.zeros_like(student).index_fill(1, torch.tensor([column]), step)
        with torch.no_grad():
            slope = (
                topk_reverse_kl(student + shift, target, 2.0)
                - topk_reverse_kl(student - shift, target, 2.0)
            ) / (2 * step)
        torch.testing.assert_close(student.grad[:, column], slope.double(), rtol=2e-2, atol=2e-3)


@pytest.mark.parametrize("k", [4, VOCABULARY])
def test_gradient_is_finite_where_one_of_both_has_no_mass(k):
    """Of the teacher's top k, of the rest, or of either side's."""
    peaked = torch.full((1, VOCABULARY), -200.0, dtype=torch.float64)
    peaked[0, 3] = 50.0
    elsewhere = peaked.roll(1, dims=-1)
    for teacher, student in ((peaked, draw(1)[:1]), (draw(0)[:1], peaked), (peaked, elsewhere)):
        moved = student.clone().requires_grad_()
        divergence = topk_reverse_kl(moved, top_k(teacher, k, 1.0), 1.0)
        divergence.sum().backward()
        assert divergence.isfinite().all()
        assert moved.grad.isfinite().all()


def test_another_temperature_is_refused():
    with pytest.raises(ValueError, match="holds T = 2, not 1"):
        topk_reverse_kl(draw(1), top_k(draw(0), 4, 2.0), 1.0)


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
