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
    """One forward pass of a batch, kept only at the positions that some term reads.

    examples: position → (positions,) index in the batch of the example each row belongs to.
    logits: position → (positions, vocabulary).
    states: (site, position) → (layers, positions, width), every layer of the model.
    answers: (answer positions,) the token that each `answer` position predicts.
    boundaries: (answer positions,) characters of the answer that precede that token, white space
        not counted.
    label_logits: (batch, labels), one for each label of a choice task.
    gold: (batch,) index of the correct label.
    batch_size: examples in the batch.
    zero: (), 0; has every trained weight in its graph where no term reads logits, so that each
        weight has a gradient, which processes that train together wait for.
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

    An example weighs the same whatever its length, so that a batch split into micro-batches or
    over devices has the same loss as the whole.

    values: (positions,). examples: (positions,) index of each position's example. Returns ().
    """
    totals = values.new_zeros(batch_size).index_add(0, examples, values)
    if reduction == "mean":
        totals = totals / examples.bincount(minlength=batch_size)
    return totals.mean()
