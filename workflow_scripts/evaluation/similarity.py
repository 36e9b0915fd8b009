"""Similarity of two sets of hidden states at the same positions.

A set is (rows, width): one state for each position. Everything is computed in float64.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

# the unbiased estimator divides by rows - 3
FEWEST_ROWS = 4
# Rows that SVCCA needs per kept dimension, since sampling alone correlates. Measured on Gaussians
# with 10 and 40 dimensions at 2, 5 and 50 rows per dimension: two independent sets give 0.64, 0.39
# and 0.12, true correlations of 0.5 give 0.70, 0.56 and 0.50, and those of 0.9 are off by less than
# 0.01 already at 2.
ROWS_PER_DIMENSION = 5


def cosine_distance(states: Tensor, others: Tensor) -> Tensor:
    """1 - cosine of each state and its counterpart, as half the squared distance of directions.

    In this form it is 0 for equal states and precise where they nearly agree.

    states, others: (..., width). Returns (...), in float64.
    """
    directions, other_directions = (normalize(s.double(), dim=-1) for s in (states, others))
    return (directions - other_directions).square().sum(-1) / 2


def relative_distance(states: Tensor, start: Tensor, goal: Tensor) -> Tensor:
    """‖states - goal‖ / ‖start - goal‖: 1 at the start, 0 at the goal; NaN where these are equal.

    All (..., width). Returns (...), in float64.
    """
    states, start, goal = states.double(), start.double(), goal.double()
    left, whole = (states - goal).norm(dim=-1), (start - goal).norm(dim=-1)
    return torch.where(whole > 0, left / whole, torch.nan)


def unbiased_cka(first: Tensor, second: Tensor) -> float:
    """Linear centred kernel alignment (Kornblith et al. 2019) with the unbiased HSIC estimator.

    The usual estimator gives 0.94 on independent Gaussians of 128 rows and width 2048; this one
    (Song et al. 2012, eq. 5; Nguyen et al. 2021) gives 0 there on average, so it can be slightly
    negative. It is 1 for states that differ only by a rotation and a scale. HSIC is the inner
    product of the U-centred Gram matrices (Székely and Rizzo 2014), so CKA is their cosine.

    first, second: (rows, width), the same rows; the widths may differ.
    Returns NaN for fewer than FEWEST_ROWS rows, and when all states of a side are the same.
    """
    if len(first) < FEWEST_ROWS:
        return float("nan")
    one, other = _u_centred_gram(first), _u_centred_gram(second)
    lengths = one.norm() * other.norm()
    return float((one * other).sum() / lengths) if lengths > 0 else float("nan")


class SVCCA(NamedTuple):
    """The similarity, NaN where undefined, and the larger number of kept dimensions."""

    similarity: float
    dimensions: int


def principal_axes(states: Tensor, variance: float) -> Tensor:
    """The states on the fewest principal components with this share of their variance.

    states: (rows, width).
    Returns (rows, kept): orthonormal columns, the left singular vectors of the centred states.
    """
    centred = _centred(states)
    # eigenvectors of the smaller product: the kept singular values are large, so squaring them
    # loses no relevant precision
    if len(centred) <= centred.shape[1]:
        values, vectors = torch.linalg.eigh(centred @ centred.T)
        kept = _kept(values, variance)
        return vectors[:, -kept:] if kept else vectors[:, :0]
    values, vectors = torch.linalg.eigh(centred.T @ centred)
    kept = _kept(values, variance)
    return centred @ vectors[:, -kept:] / values[-kept:].sqrt() if kept else centred[:, :0]


def svcca(first: Tensor, second: Tensor) -> SVCCA:
    """Singular vector canonical correlation analysis (Raghu et al. 2017).

    The mean of the canonical correlations between the kept axes of both sides, one per dimension
    of the side with fewer. Undefined with fewer than ROWS_PER_DIMENSION rows per kept dimension,
    where it would be high for any states, and when a side keeps no dimension.

    first, second: (rows, kept), the same rows.
    """
    dimensions = max(first.shape[1], second.shape[1])
    fewest = min(first.shape[1], second.shape[1])
    if fewest == 0 or len(first) < ROWS_PER_DIMENSION * dimensions:
        return SVCCA(float("nan"), dimensions)
    correlations = torch.linalg.svdvals(first.T @ second)
    return SVCCA(float(correlations.mean()), dimensions)


def _centred(states: Tensor) -> Tensor:
    states = states.double()
    # subtracting the first makes equal states exactly 0
    states = states - states[0]
    return states - states.mean(0)


def _u_centred_gram(states: Tensor) -> Tensor:
    """(rows, rows): inner products without the diagonal, U-centred, with a diagonal of zeros."""
    rows = len(states)
    # U-centring removes the mean anyway; removing it first keeps precision
    centred = _centred(states)
    gram = (centred @ centred.T).fill_diagonal_(0)
    sums = gram.sum(0) / (rows - 2)
    gram = gram - sums - sums[:, None] + sums.sum() / (rows - 1)
    return gram.fill_diagonal_(0)


def _kept(ascending: Tensor, variance: float) -> int:
    """Number of largest eigenvalues that make up this share of their sum; 0 when all are 0."""
    shares = ascending.flip(0).clamp(min=0).cumsum(0)
    if not shares[-1] > 0:
        return 0
    return int((shares < variance * shares[-1]).sum()) + 1
