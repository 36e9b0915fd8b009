"""The logsumexp of all logits but some."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def split_logsumexp(logits: Tensor, indices: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Some tokens' logits / T, and the logsumexp of all others': (positions, k), (positions,).

    In float32; the sum over the others is their own, so nothing cancels where they are unlikely.

    logits: (positions, vocabulary). indices: (positions, k), k below the vocabulary.
    """
    kept, rest = _Split.apply(logits, indices, temperature)
    return kept, rest


class _Split(torch.autograd.Function):
    """Writes the gradient into the one float32 copy of the logits, which autograd would not."""

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, indices: Tensor, temperature: float
    ) -> tuple[Tensor, Tensor]:
        scaled = logits.float() / temperature
        kept = scaled.gather(-1, indices)
        largest = scaled.scatter_(-1, indices, float("-inf")).amax(-1)
        shares = scaled.softmax(-1)
        ctx.save_for_backward(shares, indices)
        ctx.temperature, ctx.dtype = temperature, logits.dtype
        return kept, largest - shares.amax(-1).log()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_kept: Tensor, of_rest: Tensor) -> tuple[Tensor, None, None]:
        shares, indices = ctx.saved_tensors
        gradient = shares.mul_(of_rest[:, None] / ctx.temperature)
        gradient.scatter_(-1, indices, of_kept / ctx.temperature)
        return gradient.to(ctx.dtype), None, None
