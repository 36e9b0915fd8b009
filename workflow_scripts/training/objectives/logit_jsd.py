"""Matching the teacher's distribution over tokens by the Jensen-Shannon divergence."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from workflow_scripts.config.terms import LogitJSDTerm
from workflow_scripts.teachers.targets import TopK
from workflow_scripts.training.objectives.objective import Objective, reads_of_logits
from workflow_scripts.training.objectives.outputs import LogitLoss, StudentOutputs
from workflow_scripts.training.objectives.top_k import outcomes_of

if TYPE_CHECKING:
    from torch import Tensor


def logit_jsd(term: LogitJSDTerm, student: StudentOutputs, teacher: TopK) -> LogitLoss:
    """T²·JSD_β(teacher, student) at the term's position; nats."""

    def divergences(logits: Tensor, rows: slice) -> Tensor:
        return topk_jsd(logits, teacher[rows], term.temperature, term.beta)

    return student.logit_loss(term.position, divergences, term.reduction)


def topk_jsd(student_logits: Tensor, teacher: TopK, temperature: float, beta: float) -> Tensor:
    """T²·(β·KL(teacher ‖ m) + (1 − β)·KL(student ‖ m)), m = β·teacher + (1 − β)·student.

    Everything outside the teacher's top k is one bucket: exact when k covers the vocabulary,
    otherwise never more than the full divergence.

    β goes as in Agarwal et al. 2024 (GKD, 2306.13649), section 2: it is the teacher's share. So
    JSD_β / β tends to KL(teacher ‖ student) as β → 0, and JSD_β / (1 − β) to KL(student ‖ teacher)
    as β → 1. The divergence itself shrinks towards both ends.

    student_logits: (positions, vocabulary), any float dtype, computed in float32.
    Returns (positions,), nats; at most T²·ln 2.
    Raises ValueError when the teacher's logsumexp was taken at another temperature.
    """
    import torch

    log_p, log_q = outcomes_of(student_logits, teacher, temperature).joined
    log_m = torch.logaddexp(log_p + math.log(beta), log_q + math.log1p(-beta))
    from_teacher = (log_p.exp() * (log_p - log_m)).sum(-1)
    from_student = (log_q.exp() * (log_q - log_m)).sum(-1)
    return temperature**2 * (beta * from_teacher + (1 - beta) * from_student)


OBJECTIVE = Objective(
    reads=lambda term: reads_of_logits(term.position, term.top_k, term.temperature),
    loss=logit_jsd,
)
