"""Known cases of the similarity metrics."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from workflow_scripts.evaluation.similarity import (
    ROWS_PER_DIMENSION,
    cosine_distance,
    principal_axes,
    relative_distance,
    svcca,
    unbiased_cka,
)


def gaussians(rows: int, width: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, width, generator=generator, dtype=torch.float64)


def rotated(states: Tensor) -> Tensor:
    """Rotated, scaled and moved."""
    rotation, _ = torch.linalg.qr(gaussians(states.shape[1], states.shape[1], seed=9))
    return 3 * states @ rotation + 5


# --- states one by one ------------------------------------------------------------------------


def test_a_state_has_no_distance_to_itself():
    states = gaussians(10, 8).bfloat16()
    assert cosine_distance(states, states).tolist() == [0.0] * 10


def test_orthogonal_states_are_1_apart_and_opposite_ones_2():
    axis = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    others = torch.tensor([[0.0, 2.0], [-3.0, 0.0]])
    assert cosine_distance(axis, others).tolist() == pytest.approx([1, 2])


def test_a_small_angle_keeps_its_digits():
    angle = 1e-6
    turned = torch.tensor([[math.cos(angle), math.sin(angle)]], dtype=torch.float64)
    found = cosine_distance(turned, torch.tensor([[1.0, 0.0]]))
    assert found.item() == pytest.approx(angle**2 / 2, rel=1e-6)


def test_the_way_from_start_to_goal_is_reported_as_a_share():
    start, goal = gaussians(5, 8, seed=1), gaussians(5, 8, seed=2)
    for share in (1.0, 0.25, 0.0):
        states = goal + share * (start - goal)
        assert relative_distance(states, start, goal).tolist() == pytest.approx([share] * 5)


def test_there_is_no_share_where_start_and_goal_are_the_same():
    start = gaussians(2, 8)
    assert relative_distance(start, start, start).isnan().all()


# --- CKA --------------------------------------------------------------------------------------


def test_cka_of_states_with_themselves_is_1():
    assert unbiased_cka(gaussians(20, 50), gaussians(20, 50)) == pytest.approx(1)


def test_cka_sees_no_rotation_scale_or_shift():
    states = gaussians(40, 12)
    assert unbiased_cka(states, rotated(states)) == pytest.approx(1)


def test_cka_of_independent_states_is_0_where_the_usual_estimator_reads_094():
    first, second = gaussians(128, 2048, seed=1), gaussians(128, 2048, seed=2)
    assert unbiased_cka(first, second) == pytest.approx(0, abs=0.03)
    one, other = ((side - side.mean(0)) @ (side - side.mean(0)).T for side in (first, second))
    usual = (one * other).sum() / (one.norm() * other.norm())
    assert usual.item() == pytest.approx(0.94, abs=0.01)


def test_cka_is_the_same_however_large_the_mean_is():
    first, second = gaussians(30, 8, seed=1), gaussians(30, 8, seed=2)
    assert unbiased_cka(first + 1e6, second) == pytest.approx(unbiased_cka(first, second), rel=1e-5)


@pytest.mark.parametrize("states", [gaussians(3, 8), torch.ones(10, 8) / 3])
def test_cka_of_too_few_rows_or_equal_states_is_undefined(states):
    assert math.isnan(unbiased_cka(states, states))


# --- SVCCA ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rows", "width"), [(200, 8), (30, 60)])
def test_the_principal_axes_hold_the_share_of_variance_and_no_more_than_needed(rows, width):
    states = gaussians(rows, width) * torch.linspace(0.1, 2, width, dtype=torch.float64)
    axes = principal_axes(states, 0.9)
    centred = states - states.mean(0)
    explained = (axes.T @ centred).square().sum(1).sort(descending=True).values
    shares = explained.cumsum(0) / centred.square().sum()
    assert shares[-2] < 0.9 <= shares[-1]
    torch.testing.assert_close(axes.T @ axes, torch.eye(axes.shape[1], dtype=torch.float64))


def test_svcca_of_rotated_states_is_1():
    states = gaussians(400, 8)
    found = svcca(principal_axes(states, 0.99), principal_axes(rotated(states), 0.99))
    assert found == (pytest.approx(1), 8)


def test_svcca_of_independent_states_is_near_0_with_many_rows():
    first, second = gaussians(20_000, 4, seed=1), gaussians(20_000, 4, seed=2)
    assert svcca(principal_axes(first, 0.99), principal_axes(second, 0.99)).similarity < 0.02


def test_svcca_of_too_few_rows_is_undefined_and_says_its_dimensions():
    rows = 8 * ROWS_PER_DIMENSION
    enough, fewer = (principal_axes(gaussians(n, 8), 0.99) for n in (rows, rows - 1))
    assert svcca(enough, enough).similarity == pytest.approx(1)
    undefined = svcca(fewer, fewer)
    assert math.isnan(undefined.similarity)
    assert undefined.dimensions == 8


def test_svcca_of_equal_states_is_undefined():
    axes = principal_axes(torch.ones(10, 8) / 3, 0.99)
    assert math.isnan(svcca(axes, axes).similarity)
