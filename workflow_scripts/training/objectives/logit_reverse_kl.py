"""Staying within the teacher's distribution over tokens: KL from the student."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflow_scripts.config.terms import LogitReverseKLTerm
from workflow_scripts.teachers.targets import TopK
from workflow_scripts.training.objectives.objective import Objective, reads_of_logits
from workflow_scripts.training.objectives.outputs import LogitLoss, StudentOutputs
from workflow_scripts.training.objectives.top_k import outcomes_of

if TYPE_CHECKING:
    from torch import Tensor


def logit_reverse_kl(term: LogitReverseKLTerm, student: StudentOutputs, teacher: TopK) -> LogitLoss:
    """T²·KL(student ‖ teacher) at the term's position; nats."""

    def divergences(logits: Tensor, rows: slice) -> Tensor:
        return topk_reverse_kl(logits, teacher[rows], term.temperature)

    return student.logit_loss(term.position, divergences, term.reduction)


def topk_reverse_kl(student_logits: Tensor, teacher: TopK, temperature: float) -> Tensor:
    """T²·KL(student ‖ teacher) with everything outside the teacher's top k as one bucket.

    Exact when k covers the vocabulary; otherwise never more than the full divergence, as far as the
    mass of the teacher's bucket is known (`RESOLUTION`). Gu et al. 2024 (2306.08543) for language
    models.

    student_logits: (positions, vocabulary), any float dtype, computed in float32.
    Returns (positions,), nats.
    Raises ValueError when the teacher's logsumexp was taken at another temperature.
    """
    log_p, log_q = outcomes_of(student_logits, teacher, temperature).joined
    return temperature**2 * (log_q.exp() * (log_q - log_p)).sum(-1)


OBJECTIVE = Objective(
    reads=lambda term: reads_of_logits(term.position, term.top_k, term.temperature),
    loss=logit_reverse_kl,
)
