"""Matching the teacher's distribution over the labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflow_scripts.config.teachers import TargetSettings
from workflow_scripts.config.terms import LabelKLTerm
from workflow_scripts.training.objectives.objective import Objective, Reads
from workflow_scripts.training.objectives.outputs import StudentOutputs

if TYPE_CHECKING:
    from torch import Tensor


def label_kl(term: LabelKLTerm, student: StudentOutputs, teacher: Tensor) -> Tensor:
    """T²·KL(teacher ‖ student) over the labels, in float32, then the mean over examples; nats.

    Both are renormalised over the labels. Hinton et al. 2015,
    section 2, for the T² factor.

    teacher: (batch, labels), log-probabilities up to a constant for each example.
    """
    from torch.nn import functional

    log_p = (teacher.float() / term.temperature).log_softmax(-1)
    log_q = (student.label_logits.float() / term.temperature).log_softmax(-1)
    divergence = functional.kl_div(log_q, log_p, log_target=True, reduction="batchmean")
    return term.temperature**2 * divergence


OBJECTIVE = Objective(
    reads=lambda term: Reads(
        target=TargetSettings(kind="labels", position="prompt"), logits="prompt", labels=True
    ),
    loss=label_kl,
)
