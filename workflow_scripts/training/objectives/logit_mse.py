"""Matching the teacher's raw logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from workflow_scripts.config.terms import LogitMSETerm
from workflow_scripts.teachers.targets import TopK
from workflow_scripts.training.objectives.objective import Objective, reads_of_logits
from workflow_scripts.training.objectives.outputs import LogitLoss, StudentOutputs

if TYPE_CHECKING:
    from torch import Tensor


def logit_mse(term: LogitMSETerm, student: StudentOutputs, teacher: TopK) -> LogitLoss:
    """Squared distance of logits on the teacher's top k tokens, at the term's position."""

    def distances(logits: Tensor, rows: slice) -> Tensor:
        return topk_squared_distance(logits, teacher[rows], term.reduction)

    return student.logit_loss(term.position, distances)


def topk_squared_distance(
    student_logits: Tensor, teacher: TopK, reduction: Literal["sum", "mean"]
) -> Tensor:
    """Σ or mean over the teacher's top k of (z_s − z_t)², in float32.

    student_logits: (positions, vocabulary). Returns (positions,).
    """
    squares = (student_logits.gather(-1, teacher.indices).float() - teacher.values.float()).square()
    return squares.sum(-1) if reduction == "sum" else squares.mean(-1)


OBJECTIVE = Objective(
    reads=lambda term: reads_of_logits(term.position, term.top_k),
    loss=logit_mse,
)
