"""Logits a tile at a time, so that no (positions, vocabulary) tensor exists.

Each tile's logits live for its losses and their gradient alone: the gradients for the hidden states
and the trained weights of the head are computed in the forward pass and scaled in the backward
pass, as Liger-Kernel does (2410.10989), so the head runs once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from workflow_scripts.training.logit_rows import LogitRows
from workflow_scripts.training.objectives.outputs import LogitLoss, StudentOutputs


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
            part, found = _Sum.apply(
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
                del logits  # no gradient needs them
                if not any(needed):
                    continue
                given = [weight for weight in (own, *trained) if weight.requires_grad]
                wholes = [whole for whole in gradients if whole is not None]
                found = torch.autograd.grad(parts, given, factors)
                for weight, whole, gradient in zip(given, wholes, found, strict=True):
                    (whole[tile] if weight is own else whole).add_(gradient)
        ctx.save_for_backward(*gradients)
        ctx.mark_non_differentiable(values)
        return values @ factors, values

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, upstream: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        # in place, for the gradient of a head is as large as the head
        scaled = (None if own is None else own.mul_(upstream) for own in ctx.saved_tensors)
        return (None, None, None, *scaled)
