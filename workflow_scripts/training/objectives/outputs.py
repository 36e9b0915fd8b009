"""The student's outputs on a batch, as objectives see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from workflow_scripts.config.base import Position, Site

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class StudentOutputs:
    """One forward pass of a batch, at the positions that some term reads.

    examples: position → (positions,) index in the batch of the example each row belongs to.
    logits: position → (positions, vocabulary).
    states: (site, position) → (layers, positions, width), every layer of the model.
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
    logits: Mapping[Position, Tensor]
    states: Mapping[tuple[Site, Position], Tensor]
    answers: Tensor
    boundaries: Tensor
    label_logits: Tensor
    gold: Tensor
    batch_size: int
    zero: Tensor


def mean_over_examples(
    values: Tensor, examples: Tensor, batch_size: int, reduction: Literal["sum", "mean"] = "mean"
) -> Tensor:
    """Sum or mean of each example's positions, then the mean over the batch's examples.

    Every example has the same weight whatever its length, so the loss of a batch does not depend
    on its split into micro-batches or over devices.

    values: (positions,). examples: (positions,) index of each position's example. Returns ().
    """
    totals = values.new_zeros(batch_size).index_add(0, examples, values)
    if reduction == "mean":
        totals = totals / examples.bincount(minlength=batch_size)
    return totals.mean()
