"""The KL over the labels, against the formula written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.unit.training.conftest import label_outputs
from workflow_scripts.config.terms import LabelKLTerm
from workflow_scripts.training.objectives.label_kl import label_kl

STUDENT = np.array([[1.0, -2.0, 0.5], [3.0, 3.0, 3.0], [-1.0, 4.0, 0.0]])
# of the full softmax: the labels of an example hold 0.9, 0.002 and 0.5 of the mass
TEACHER = np.log([[0.6, 0.2, 0.1], [0.0005, 0.001, 0.0005], [0.02, 0.18, 0.3]])
GOLD = [0, 0, 0]


def kl(student: torch.Tensor, teacher: np.ndarray = TEACHER, temperature: float = 1.0):
    term = LabelKLTerm(objective="label_kl", weight=1.0, temperature=temperature)
    return label_kl(term, label_outputs(student, GOLD), torch.tensor(teacher))


def renormalised(values: np.ndarray, temperature: float) -> np.ndarray:
    powers = np.exp(values / temperature)
    return powers / powers.sum(1, keepdims=True)


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_is_the_mean_of_the_divergences_times_the_squared_temperature(temperature):
    p, q = renormalised(TEACHER, temperature), renormalised(STUDENT, temperature)
    expected = temperature**2 * (p * np.log(p / q)).sum(1).mean()
    value = kl(torch.tensor(STUDENT), temperature=temperature)
    assert value.item() == pytest.approx(expected, rel=1e-5)


def test_what_the_teacher_gives_to_other_tokens_does_not_count():
    student = torch.tensor(STUDENT)
    assert kl(student, TEACHER - 5).item() == pytest.approx(kl(student).item(), rel=1e-5)


def test_is_zero_for_a_student_of_the_teachers_proportions():
    assert kl(torch.tensor(TEACHER + 3)).item() == pytest.approx(0, abs=1e-6)


def test_gradient_pulls_from_the_students_to_the_teachers_probability():
    student = torch.tensor(STUDENT, requires_grad=True)
    kl(student, temperature=2.0).backward()
    # T²·KL has a gradient of T·(q − p), of each example's share
    expected = 2.0 * (renormalised(STUDENT, 2.0) - renormalised(TEACHER, 2.0)) / 3
    torch.testing.assert_close(student.grad, torch.tensor(expected), rtol=1e-4, atol=1e-6)
