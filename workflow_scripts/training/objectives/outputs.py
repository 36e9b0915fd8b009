"""The student's outputs on a batch, as objectives see them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from workflow_scripts.config.base import Position, Site
from workflow_scripts.config.terms import StatesTerm

if TYPE_CHECKING:
    from torch import Tensor

    from workflow_scripts.training.logit_rows import LogitRows


@dataclass(frozen=True)
class StudentOutputs:
    """One forward pass of a batch, at the positions that some term reads.

    examples: position → (positions,) index in the batch of the example each row belongs to.
    logits: position → its rows of logits, which objectives read through `logit_loss`.
    states: (site, position) → layer → (positions, width), of the layers that some term reads.
    answers: (answer positions,) the token that each `answer` position predicts.
    boundaries: (answer positions,) number of characters of the answer before that token, not
        counting white space.
    label_logits: (batch, labels), one per label of a choice task.
    gold: (batch,) index of the correct label.
    batch_size: examples in the batch.
    zero: (), 0; where no term reads logits, every trained weight is in its graph, because
        distributed training waits for a gradient of each weight.
    """

    examples: Mapping[Position, Tensor]
    logits: Mapping[Position, LogitRows]
    states: Mapping[tuple[Site, Position], Mapping[int, Tensor]]
    answers: Tensor
    boundaries: Tensor
    label_logits: Tensor
    gold: Tensor
    batch_size: int
    zero: Tensor

    def states_at(self, term: StatesTerm, layers: Sequence[int]) -> Tensor:
        """(positions, layers, width) at the term's site and position."""
        import torch

        states = self.states[term.site, term.position]
        return torch.stack([states[layer] for layer in layers], dim=1)

    def logit_loss(
        self,
        position: Position,
        losses: Callable[[Tensor, slice], Tensor],
        reduction: Literal["sum", "mean"] = "mean",
        rows: Tensor | None = None,
    ) -> LogitLoss:
        """Sum or mean of each example's losses at a position, then the mean over examples.

        losses, rows: as in `LogitLoss`.
        """
        examples = self.examples[position] if rows is None else self.examples[position][rows]
        weights = weights_of(examples, self.batch_size, reduction)
        return LogitLoss(position, weights, losses, None if rows is None else rows.tolist())


@dataclass(frozen=True)
class LogitLoss:
    """A term's loss as a weighted sum over the positions whose logits it reads.

    The logits need not exist at once: any run of them has a part of the loss.

    position: where in the batch's examples they lie.
    weights: (positions,).
    losses: (logits (n, vocabulary), the n of the positions that they belong to) → (n,).
    rows: (positions,), which of the student's rows at `position` they are, ascending; None for all.
    """

    position: Position
    weights: Tensor
    losses: Callable[[Tensor, slice], Tensor]
    rows: Sequence[int] | None = None

    def part(self, logits: Tensor, start: int) -> Tensor:
        """The share of those of the student's rows from `start` on whose logits are given: ()."""
        read = slice(start, start + len(logits))
        if self.rows is not None:
            read = slice(bisect_left(self.rows, read.start), bisect_left(self.rows, read.stop))
            if read.stop - read.start < len(logits):
                logits = logits[[row - start for row in self.rows[read]]]
        return (self.weights[read] * self.losses(logits, read)).sum()


def mean_over_examples(
    values: Tensor, examples: Tensor, batch_size: int, reduction: Literal["sum", "mean"] = "mean"
) -> Tensor:
    """Sum or mean of each example's positions, then the mean over the batch's examples.

    values: (positions,). examples: (positions,) index of each position's example. Returns ().
    """
    return (weights_of(examples, batch_size, reduction) * values).sum()


def weights_of(examples: Tensor, batch_size: int, reduction: Literal["sum", "mean"]) -> Tensor:
    """The weight of each position in a batch's loss: (positions,).

    Every example has the same weight whatever its length, so the loss of a batch does not depend
    on its split into micro-batches or over devices.

    examples: (positions,) index of each position's example.
    """
    import torch

    counts = torch.ones_like(examples)
    if reduction == "mean":
        counts = examples.bincount(minlength=batch_size)[examples]
    return 1 / (counts * batch_size)
