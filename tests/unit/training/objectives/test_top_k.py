"""What holds of every divergence over the teacher's top k and one bucket for the rest."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from tests.unit.training.objectives.draws import POSITIONS, VOCABULARY, draw, top_k
from workflow_scripts.training.objectives.logit_jsd import topk_jsd
from workflow_scripts.training.objectives.logit_kl import topk_kl
from workflow_scripts.training.objectives.logit_reverse_kl import topk_reverse_kl

DIVERGENCES = {"kl": topk_kl, "reverse": topk_reverse_kl, "jsd": partial(topk_jsd, beta=0.3)}


@pytest.fixture(params=DIVERGENCES)
def divergence(request):
    """(student logits, teacher, temperature) → (positions,)."""
    return DIVERGENCES[request.param]


@pytest.mark.parametrize("k", [1, 4, VOCABULARY - 1])
def test_is_never_more_than_the_whole_divergence(divergence, k):
    teacher, student = draw(0), draw(1)
    whole = divergence(student, top_k(teacher, VOCABULARY, 2.0), 2.0)
    assert (divergence(student, top_k(teacher, k, 2.0), 2.0) <= whole + 1e-5).all()


def test_is_zero_for_the_teacher_itself(divergence):
    teacher = draw(0)
    found = divergence(teacher, top_k(teacher, 4, 2.0), 2.0)
    torch.testing.assert_close(found, torch.zeros(POSITIONS), atol=1e-5, rtol=0)


def test_charges_student_mass_outside_the_top_k(divergence):
    """Renormalising both sides to the top k would give zero here."""
    teacher = draw(0)
    target = top_k(teacher, 4, 1.0)
    student = teacher.scatter_add(
        -1, teacher.argsort()[:, :5], torch.full((POSITIONS, 5), 20.0, dtype=torch.float64)
    )
    assert (divergence(student, target, 1.0) > 0.1).all()


def test_gradient_matches_finite_differences(divergence):
    target = top_k(draw(0), 4, 2.0)
    student = draw(1).requires_grad_()
    divergence(student, target, 2.0).sum().backward()
    step = 1e-2  # the loss itself is float32
    for column in range(0, VOCABULARY, 5):
        shift = torch.zeros_like(student).index_fill(1, torch.tensor([column]), step)
        with torch.no_grad():
            above, below = (divergence(student + s, target, 2.0) for s in (shift, -shift))
        slope = ((above - below) / (2 * step)).double()
        torch.testing.assert_close(student.grad[:, column], slope, rtol=2e-2, atol=2e-3)


@pytest.mark.parametrize("k", [4, VOCABULARY])
def test_gradient_is_finite_where_one_of_both_has_no_mass(divergence, k):
    """Of the teacher's top k, of the rest, or of either side's."""
    peaked = torch.full((1, VOCABULARY), -200.0, dtype=torch.float64)
    peaked[0, 3] = 50.0
    elsewhere = peaked.roll(1, dims=-1)
    for teacher, student in ((peaked, draw(1)[:1]), (draw(0)[:1], peaked), (peaked, elsewhere)):
        moved = student.clone().requires_grad_()
        found = divergence(moved, top_k(teacher, k, 1.0), 1.0)
        found.sum().backward()
        assert found.isfinite().all()
        assert moved.grad.isfinite().all()


def test_another_temperature_is_refused(divergence):
    with pytest.raises(ValueError, match="holds T = 2, not 1"):
        divergence(draw(1), top_k(draw(0), 4, 2.0), 1.0)
