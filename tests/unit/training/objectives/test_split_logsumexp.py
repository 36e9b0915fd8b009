"""Some logits and the logsumexp of all others, against the plain computation in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from workflow_scripts.training.objectives.split_logsumexp import split_logsumexp

INDICES = torch.tensor([[3, 0, 7]])
SIZE = 50
# how far the kept logits lie above the others: from e^-300 of the mass to all but e^-300 of it
GAPS = [-300.0, -40.0, 0.0, 16.0, 40.0, 300.0]


def draw(gap: float) -> Tensor:
    logits = 3 * torch.randn(1, SIZE, generator=torch.Generator().manual_seed(0))
    return logits.index_add(-1, INDICES[0], torch.full((1, 3), gap))


def plainly(logits: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    scaled = logits / temperature
    others = [token for token in range(SIZE) if token not in INDICES[0].tolist()]
    return scaled.gather(-1, INDICES), scaled[:, others].logsumexp(-1)


def log_shares(split) -> Tensor:
    """Log-probabilities of the kept tokens and of the others together, and their gradient's use."""
    kept, rest = split
    return torch.cat([kept, rest[:, None]], -1).log_softmax(-1)


@pytest.mark.parametrize("temperature", [1.0, 2.5])
@pytest.mark.parametrize("gap", GAPS)
def test_is_exact_however_little_mass_is_left(gap, temperature):
    logits = draw(gap).requires_grad_()
    exact = logits.detach().double().requires_grad_()
    found = log_shares(split_logsumexp(logits, INDICES, temperature))
    expected = log_shares(plainly(exact, temperature))
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)
    weights = torch.tensor([0.3, 0.2, 0.1, 0.4])
    (found * weights).sum().backward()
    (expected * weights.double()).sum().backward()
    torch.testing.assert_close(logits.grad.double(), exact.grad, rtol=1e-5, atol=1e-6)


def test_the_given_logits_stay_as_they_are():
    logits = draw(0.0)
    before = logits.clone()
    for temperature in (1.0, 2.0):
        split_logsumexp(logits, INDICES, temperature)
    assert torch.equal(logits, before)


def test_bfloat16_is_computed_in_float32():
    logits = draw(1.0).bfloat16().requires_grad_()
    kept, rest = split_logsumexp(logits, INDICES, 1.0)
    (kept.sum() + rest.sum()).backward()
    assert (kept.dtype, rest.dtype, logits.grad.dtype) == (
        torch.float32,
        torch.float32,
        torch.bfloat16,
    )
    torch.testing.assert_close(rest.double(), plainly(logits.double(), 1.0)[1], rtol=1e-6, atol=0)
