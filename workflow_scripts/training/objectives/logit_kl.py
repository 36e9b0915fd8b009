"""Matching the teacher's distribution over tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflow_scripts.config.terms import LogitKLTerm
from workflow_scripts.teachers.targets import TopK
from workflow_scripts.training.objectives.objective import Objective, reads_of_logits
from workflow_scripts.training.objectives.outputs import LogitLoss, StudentOutputs
from workflow_scripts.training.objectives.top_k import outcomes_of

if TYPE_CHECKING:
    from torch import Tensor


def logit_kl(term: LogitKLTerm, student: StudentOutputs, teacher: TopK) -> LogitLoss:
    """T²·KL(teacher ‖ student) at the term's position; nats."""

    def divergences(logits: Tensor, rows: slice) -> Tensor:
        return topk_kl(logits, teacher[rows], term.temperature)

    return student.logit_loss(term.position, divergences, term.reduction)


def topk_kl(student_logits: Tensor, teacher: TopK, temperature: float) -> Tensor:
    """T²·KL(teacher ‖ student) with everything outside the teacher's top k as one bucket.

    Exact when k covers the vocabulary; otherwise the KL between the bucketed distributions,
    which is never more than the full KL and still penalises the student for mass outside the
    teacher's top k. Hinton et al. 2015, section 2, for the T² factor.

    student_logits: (positions, vocabulary), any float dtype, computed in float32.
    Returns (positions,), nats.
    Raises ValueError when the teacher's logsumexp was taken at another temperature.
    """
    both = outcomes_of(student_logits, teacher, temperature)
    divergence = (both.log_p.exp() * (both.log_p - both.log_q)).sum(-1)
    if both.p_tail is not None:
        divergence = divergence + both.p_tail.xlogy(both.p_tail) - both.p_tail * both.log_q_tail
    return temperature**2 * divergence


OBJECTIVE = Objective(
    reads=lambda term: reads_of_logits(term.position, term.top_k, term.temperature),
    loss=logit_kl,
)
