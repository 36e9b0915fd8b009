"""How much alike two sets of hidden states of the same positions are.

A set is (rows, width): one state for each position. Everything is computed in float64.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

# of the unbiased estimator, which divides by rows - 3
FEWEST_ROWS = 4
# Rows that SVCCA needs for each kept dimension, since sampling alone correlates. Measured on
# Gaussians with 10 and 40 dimensions: of two independent sets it reads 0.64 at 2 rows a dimension,
# 0.39 at 5 and 0.12 at 50; where the correlations are 0.5 it reads 0.70, 0.56 and 0.50, and where
# they are 0.9 it is off by less than 0.01 at 2 already.
ROWS_PER_DIMENSION = 5


def cosine_distance(states: Tensor, others: Tensor) -> Tensor:
    """1 - cosine of each state and its counterpart: half the squared distance of their directions.

    Written so, it is 0 of equal states and keeps its digits where they nearly agree.

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
    """Linear centred kernel alignment (Kornblith et al. 2019) of the unbiased HSIC estimator.

    The usual estimator reads 0.94 on independent Gaussians of 128 rows and width 2048; this one
    (Song et al. 2012, eq. 5; Nguyen et al. 2021) reads 0 there on average, so it can be slightly
    negative. It is 1 for states that differ by a rotation and a scale only. HSIC is written as the
    inner product of the U-centred Gram matrices (Székely and Rizzo 2014), so CKA is their cosine.

    first, second: (rows, width) of the same rows; the widths may differ.
    Returns NaN for fewer than FEWEST_ROWS rows, and when all states of a side are the same.
    """
    if len(first) < FEWEST_ROWS:
        return float("nan")
    one, other = _u_centred_gram(first), _u_centred_gram(second)
    lengths = one.norm() * other.norm()
    return float((one * other).sum() / lengths) if lengths > 0 else float("nan")


class SVCCA(NamedTuple):
    """Its value, NaN where it is undefined, and the dimensions that the side with more keeps."""

    similarity: float
    dimensions: int


def principal_axes(states: Tensor, variance: float) -> Tensor:
    """The states on the fewest principal components with this share of their variance.

    states: (rows, width).
    Returns (rows, kept): orthonormal columns, the left singular vectors of the centred states.
    """
    centred = _centred(states)
    # by eigenvectors of the smaller of two products: what is kept has large singular values,
    # which squaring harms in no digit that counts
    if len(centred) <= centred.shape[1]:
        values, vectors = torch.linalg.eigh(centred @ centred.T)
        kept = _kept(values, variance)
        return vectors[:, -kept:] if kept else vectors[:, :0]
    values, vectors = torch.linalg.eigh(centred.T @ centred)
    kept = _kept(values, variance)
    return centred @ vectors[:, -kept:] / values[-kept:].sqrt() if kept else centred[:, :0]


def svcca(first: Tensor, second: Tensor) -> SVCCA:
    """Singular vector canonical correlation analysis (Raghu et al. 2017).

    The mean of the canonical correlations of what `principal_axes` left of both sides: as many as
    the side with fewer dimensions has. Undefined with fewer than ROWS_PER_DIMENSION rows for each
    kept dimension, where it would be high whatever the states, and when a side keeps none.

    first, second: (rows, kept), of the same rows.
    """
    dimensions = max(first.shape[1], second.shape[1])
    fewest = min(first.shape[1], second.shape[1])
    if fewest == 0 or len(first) < ROWS_PER_DIMENSION * dimensions:
        return SVCCA(float("nan"), dimensions)
    correlations = torch.linalg.svdvals(first.T @ second)
    return SVCCA(float(correlations.mean()), dimensions)


def _centred(states: Tensor) -> Tensor:
    states = states.double()
    # from the first one on: states that are all the same become exactly 0
    states = states - states[0]
    return states - states.mean(0)


def _u_centred_gram(states: Tensor) -> Tensor:
    """(rows, rows): inner products without the diagonal, U-centred, with a diagonal of zeros."""
    rows = len(states)
    # U-centring removes the mean anyway; removed here, it cannot drown the digits that count
    centred = _centred(states)
    gram = (centred @ centred.T).fill_diagonal_(0)
    sums = gram.sum(0) / (rows - 2)
    gram = gram - sums - sums[:, None] + sums.sum() / (rows - 1)
    return gram.fill_diagonal_(0)


def _kept(ascending: Tensor, variance: float) -> int:
    """How many of the largest eigenvalues have this share of their sum; 0 when all are 0."""
    shares = ascending.flip(0).clamp(min=0).cumsum(0)
    if not shares[-1] > 0:
        return 0
    return int((shares < variance * shares[-1]).sum()) + 1
