"""Matching the teacher's raw logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from workflow_scripts.config.terms import LogitMSETerm
from workflow_scripts.teachers.targets import TopK
from workflow_scripts.training.objectives.objective import Objective, reads_of_logits
from workflow_scripts.training.objectives.outputs import StudentOutputs, mean_over_examples

if TYPE_CHECKING:
    from torch import Tensor


def logit_mse(term: LogitMSETerm, student: StudentOutputs, teacher: TopK) -> Tensor:
    """Squared distance of logits on the teacher's top k tokens, at the term's position."""
    distances = topk_squared_distance(student.logits[term.position], teacher, term.reduction)
    return mean_over_examples(distances, student.examples[term.position], student.batch_size)


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
