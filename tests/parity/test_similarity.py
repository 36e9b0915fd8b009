"""CKA and SVCCA against implementations that share nothing with them but the definitions."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
from scipy.linalg import qr, svd, svdvals

from workflow_scripts.evaluation.similarity import principal_axes, svcca, unbiased_cka


def related(rows: int, width: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Two sets with something in common, of different widths and far from 0."""
    generator = np.random.default_rng(0)
    scales = np.linspace(0.2, 3, width)
    first = generator.normal(size=(rows, width)) * scales
    second = first @ generator.normal(size=(width, width + 2))
    return first + 4, second + noise * generator.normal(size=second.shape) - 7


def hsic_by_quadruples(first: np.ndarray, second: np.ndarray) -> float:
    """The U-statistic of HSIC, as a mean over all ordered quadruples of different rows.

    Song et al. 2012, Theorem 3: E[k(i, j) (l(i, j) + l(q, r) - 2 l(i, q))].
    """
    k, l = first @ first.T, second @ second.T  # noqa: E741
    terms = [
        k[i, j] * (l[i, j] + l[q, r] - 2 * l[i, q])
        for i, j, q, r in permutations(range(len(first)), 4)
    ]
    return float(np.mean(terms))


def hsic_by_traces(first: np.ndarray, second: np.ndarray) -> float:
    """Song et al. 2012, eq. 5."""
    n = len(first)
    k, l = (side @ side.T for side in (first, second))  # noqa: E741
    k, l = k - np.diag(np.diag(k)), l - np.diag(np.diag(l))  # noqa: E741
    one = np.ones(n)
    total = np.trace(k @ l) + (one @ k @ one) * (one @ l @ one) / ((n - 1) * (n - 2))
    return (total - 2 * (one @ k @ l @ one) / (n - 2)) / (n * (n - 3))


@pytest.mark.parametrize(
    ("hsic", "rows"), [(hsic_by_quadruples, 9), (hsic_by_traces, 9), (hsic_by_traces, 60)]
)
def test_cka_is_the_ratio_of_unbiased_hsics(hsic, rows):
    first, second = related(rows, width=5, noise=2.0)
    centred, other = first - first.mean(0), second - second.mean(0)
    expected = hsic(centred, other) / np.sqrt(hsic(centred, centred) * hsic(other, other))
    found = unbiased_cka(torch.from_numpy(first), torch.from_numpy(second))
    assert found == pytest.approx(expected, rel=1e-9)
    assert 0.1 < found < 0.99


def cca_by_qr(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Canonical correlations of centred sets (Björck and Golub 1973)."""
    one, other = (qr(side, mode="economic")[0] for side in (first, second))
    return svdvals(one.T @ other)


def reduced(states: np.ndarray, variance: float) -> np.ndarray:
    """The centred states in the basis of their first right singular vectors."""
    centred = states - states.mean(0)
    _, values, vectors = svd(centred, full_matrices=False)
    kept = int(np.searchsorted(np.cumsum(values**2) / np.sum(values**2), variance)) + 1
    return centred @ vectors[:kept].T


# more rows than dimensions, and fewer
@pytest.mark.parametrize(("rows", "width", "variance"), [(400, 12, 0.99), (100, 150, 0.3)])
def test_svcca_is_cca_of_the_first_principal_components(rows, width, variance):
    first, second = related(rows, width, noise=20.0)
    one, other = reduced(first, variance), reduced(second, variance)
    found = svcca(
        principal_axes(torch.from_numpy(first), variance),
        principal_axes(torch.from_numpy(second), variance),
    )
    assert found.dimensions == max(one.shape[1], other.shape[1])
    assert found.similarity == pytest.approx(cca_by_qr(one, other).mean(), rel=1e-9)
    assert found.similarity < 0.98
