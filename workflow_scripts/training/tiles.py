"""Logits a tile at a time, so that no (positions, vocabulary) tensor exists.

Each tile's logits live for its losses and their gradient alone: the gradients for the hidden states
and the trained weights of the head are computed in the forward pass and scaled in the backward
pass, as Liger-Kernel does (2410.10989), so the head runs once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from workflow_scripts.modeling.language_head import LanguageHead
from workflow_scripts.training.objectives.outputs import LogitLoss, StudentOutputs

# Logits of a tile: 32 MB as float32, which glibc keeps instead of returning it to the kernel.
ELEMENTS = 2**23
# Positions of a tile where the head is trained: every tile adds to a gradient as large as the head.
TRAINED_POSITIONS = 512


@dataclass(frozen=True)
class LogitRows:
    """The student's logits at some positions, computed when they are read.

    hidden: (positions, width), what the head reads; logits themselves where there is no head.
    vocabulary: length of a row of logits.
    """

    hidden: Tensor
    head: LanguageHead
    vocabulary: int

    @classmethod
    def of(cls, logits: Tensor) -> LogitRows:
        """Logits that exist already: (positions, vocabulary)."""
        return cls(logits, LanguageHead(nn.Identity(), (), None), logits.shape[-1])

    def tiles(self) -> list[slice]:
        """The positions in runs whose logits exist at once."""
        size = max(1, ELEMENTS // self.vocabulary)
        if self.head.trained:
            size = max(size, TRAINED_POSITIONS)
        return [slice(start, start + size) for start in range(0, len(self.hidden), size)]


def weighted_sum(
    student: StudentOutputs, losses: Sequence[Tensor | LogitLoss], weights: Sequence[float]
) -> tuple[Tensor, list[Tensor]]:
    """Σ weight · loss, and the value of each loss without a gradient.

    Losses at the same position share its logits.
    """
    total = student.zero
    values = [loss.detach() if isinstance(loss, Tensor) else student.zero for loss in losses]
    for loss, weight in zip(losses, weights, strict=True):
        if isinstance(loss, Tensor):
            total = total + weight * loss
    for position, rows in student.logits.items():
        places = [
            place
            for place, loss in enumerate(losses)
            if isinstance(loss, LogitLoss) and loss.position == position
        ]
        if places:
            part, found = _Sum.apply(  # type: ignore[no-untyped-call]
                rows,
                [losses[place] for place in places],
                [weights[place] for place in places],
                rows.hidden,
                *rows.head.trained,
            )
            total = total + part
            for place, value in zip(places, found, strict=True):
                values[place] = value
    return total, values


class _Sum(torch.autograd.Function):
    """(rows, losses, weights, hidden, *trained weights) → weighted sum and values of the losses."""

    @staticmethod
    def forward(
        ctx: Any,
        rows: LogitRows,
        losses: Sequence[LogitLoss],
        weights: Sequence[float],
        hidden: Tensor,
        *trained: Tensor,
    ) -> tuple[Tensor, Tensor]:
        factors = torch.tensor(weights, device=hidden.device)
        values = torch.zeros(len(losses), device=hidden.device)
        needed = ctx.needs_input_grad[3:]
        gradients = [
            torch.zeros_like(given) if need else None
            for given, need in zip((hidden, *trained), needed, strict=True)
        ]
        with rows.head.precision():
            for tile in rows.tiles():
                own = hidden[tile].detach().requires_grad_(needed[0])
                with torch.set_grad_enabled(any(needed)):
                    logits = rows.head(own)
                    parts = torch.stack([loss.part(logits, tile.start) for loss in losses])
                values += parts.detach()
                if not any(needed):
                    continue
                wanted = [
                    (place, given)
                    for place, given in enumerate((own, *trained))
                    if gradients[place] is not None
                ]
                found = torch.autograd.grad(parts, [given for _, given in wanted], factors)
                for (place, _), gradient in zip(wanted, found, strict=True):
                    whole = gradients[place]
                    (whole[tile] if place == 0 else whole).add_(gradient)
        ctx.save_for_backward(*gradients)
        ctx.mark_non_differentiable(values)
        return values @ factors, values

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        # in place, for the gradient of a head is as large as the head
        scaled = (None if own is None else own.mul_(upstream) for own in ctx.saved_tensors)
        return (None, None, None, *scaled)
