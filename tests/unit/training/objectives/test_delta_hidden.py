"""The shift that context makes: its distance by hand, where it starts, where it is zero."""

from __future__ import annotations

import pytest
import torch

from workflow_scripts.config.terms import DeltaHiddenTerm
from workflow_scripts.training.objectives.delta_hidden import delta_hidden, shift_distance
from workflow_scripts.training.objectives.hidden import squared_distance
from workflow_scripts.training.objectives.outputs import StudentOutputs

POSITIONS, LAYERS, WIDTH = 3, 4, 6


def draw(seed: int) -> torch.Tensor:
    return torch.randn(
        POSITIONS, LAYERS, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )


def distance(student, teacher, reference, normalize=True, reduction="sum"):
    return shift_distance(student, teacher, reference, normalize=normalize, reduction=reduction)


def by_hand(student, teacher, reference, normalize):
    """(positions, layers)."""
    values = torch.zeros(POSITIONS, LAYERS, dtype=torch.float64)
    for position in range(POSITIONS):
        for layer in range(LAYERS):
            start = reference[position, layer]
            own = student[position, layer] - start
            wanted = teacher[position, layer] - start
            scale = wanted.norm() ** 2 if normalize else 1
            values[position, layer] = ((own - wanted) ** 2).sum() / scale
    return values


@pytest.mark.parametrize("normalize", [True, False])
def test_it_is_the_distance_between_two_shifts(normalize):
    states = draw(0), draw(1), draw(2)
    expected = by_hand(*states, normalize)
    torch.testing.assert_close(distance(*states, normalize).double(), expected.sum(-1))
    torch.testing.assert_close(
        distance(*states, normalize, "mean").double(), expected.sum(-1) / (LAYERS * WIDTH)
    )


def test_an_untrained_student_is_at_one_in_every_layer():
    scales = torch.tensor([0.01, 1.0, 30.0, 1000.0], dtype=torch.float64)[:, None]
    reference = draw(0)
    teacher = reference + scales * draw(1)
    for layer in range(LAYERS):
        one = [states[:, layer : layer + 1] for states in (reference, teacher, reference)]
        torch.testing.assert_close(distance(*one), torch.ones(POSITIONS), rtol=1e-3, atol=0)


def test_a_student_that_moves_as_the_teacher_is_at_zero():
    teacher = draw(1)
    assert torch.equal(distance(teacher, teacher, draw(0)), torch.zeros(POSITIONS))


def test_the_gradient_points_along_what_is_left_of_the_shift():
    student, teacher, reference = draw(0).requires_grad_(), draw(1), draw(2)
    distance(student, teacher, reference).sum().backward()
    length = (teacher - reference).norm(dim=-1, keepdim=True)
    expected = 2 * (student.detach() - teacher) / length**2
    torch.testing.assert_close(student.grad, expected, rtol=1e-5, atol=1e-6)


def test_unnormalized_the_reference_cancels():
    student, teacher = draw(0), draw(1)
    plain = squared_distance(student, teacher, normalize=False, reduction="sum")
    torch.testing.assert_close(distance(student, teacher, draw(2), normalize=False), plain)


def test_a_teacher_that_context_does_not_move_gives_finite_values():
    reference = draw(0)
    student = (reference + 0.1).requires_grad_()
    value = distance(student, reference, reference).sum()
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(student.grad).all()


def test_the_terms_layers_alone_are_compared():
    term = DeltaHiddenTerm(
        objective="delta_hidden",
        weight=1.0,
        site="block",
        layers=(1, 3),
        position="query",
        reference="zero-shot",
        normalize=True,
        reduction="sum",
    )
    states, teacher, reference = draw(0), draw(1), draw(2)
    student = StudentOutputs(
        examples={"query": torch.arange(POSITIONS)},
        logits={},
        states={("block", "query"): states.transpose(0, 1)},
        answers=torch.empty(0),
        boundaries=torch.empty(0),
        label_logits=torch.empty(0, 0),
        gold=torch.empty(0),
        batch_size=POSITIONS,
        zero=torch.zeros(()),
    )
    expected = by_hand(states, teacher, reference, normalize=True)[:, [1, 3]].sum(-1).mean()
    value = delta_hidden(term, student, teacher, reference)
    torch.testing.assert_close(value.double(), expected)
