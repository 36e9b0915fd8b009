"""Hidden-state distances: the formula, its two reductions, its gradient."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from workflow_scripts.training.objectives.hidden import squared_distance

POSITIONS, LAYERS, WIDTH = 3, 4, 6


def draw(seed: int) -> torch.Tensor:
    return torch.randn(
        POSITIONS, LAYERS, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )


def test_sum_is_the_formula_on_unit_vectors():
    student, teacher = draw(0), draw(1)
    expected = torch.zeros(POSITIONS, dtype=torch.float64)
    for position in range(POSITIONS):
        for layer in range(LAYERS):
            s, t = student[position, layer], teacher[position, layer]
            expected[position] += ((s / s.norm() - t / t.norm()) ** 2).sum()
    distances = squared_distance(student, teacher, normalize=True, reduction="sum")
    torch.testing.assert_close(distances.double(), expected)


def test_mean_is_mse_loss():
    student, teacher = draw(0).float(), draw(1).float()
    distances = squared_distance(student, teacher, normalize=False, reduction="mean")
    torch.testing.assert_close(distances.mean(), functional.mse_loss(student, teacher))


def test_reductions_differ_by_layers_times_width():
    student, teacher = draw(0), draw(1)
    summed, averaged = (
        squared_distance(student, teacher, normalize=True, reduction=reduction)
        for reduction in ("sum", "mean")
    )
    torch.testing.assert_close(summed / averaged, torch.full((POSITIONS,), float(LAYERS * WIDTH)))


def test_unit_vectors_make_the_distance_twice_one_minus_cosine():
    student, teacher = draw(0), draw(1)
    cosines = functional.cosine_similarity(student, teacher, dim=-1)
    distances = squared_distance(student, teacher, normalize=True, reduction="sum")
    torch.testing.assert_close(distances.double(), (2 - 2 * cosines).sum(-1))


def test_length_does_not_matter_once_normalized():
    student, teacher = draw(0), draw(1)
    torch.testing.assert_close(
        squared_distance(7 * student, teacher, normalize=True, reduction="sum"),
        squared_distance(student, teacher, normalize=True, reduction="sum"),
    )


@pytest.mark.parametrize("normalize", [True, False])
def test_gradient_matches_finite_differences(normalize):
    student, teacher = draw(0).requires_grad_(), draw(1)

    def loss(states):
        return squared_distance(states, teacher, normalize=normalize, reduction="sum").sum()

    loss(student).backward()
    step = 1e-2  # the loss itself is float32
    for index in [(0, 0, 0), (1, 2, 3), (2, 3, 5)]:
        shift = torch.zeros_like(student)
        shift[index] = step
        with torch.no_grad():
            slope = (loss(student + shift) - loss(student - shift)) / (2 * step)
        assert student.grad[index].item() == pytest.approx(slope.item(), rel=1e-2, abs=2e-3)
