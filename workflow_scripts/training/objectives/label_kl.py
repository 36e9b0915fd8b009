"""Matching the teacher's distribution over the labels."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from workflow_scripts.config.terms import LabelKLTerm
from workflow_scripts.training.objectives.outputs import StudentOutputs


def label_kl(term: LabelKLTerm, student: StudentOutputs, teacher: Tensor) -> Tensor:
    """T²·KL(teacher ‖ student) over the labels, in float32, then the mean over examples; nats.

    Both are renormalised: what they give to other tokens does not count. Hinton et al. 2015,
    section 2, for the T² factor.

    teacher: (batch, labels), log-probabilities up to a constant for each example.
    """
    log_p = (teacher.float() / term.temperature).log_softmax(-1)
    log_q = (student.label_logits.float() / term.temperature).log_softmax(-1)
    divergence = functional.kl_div(log_q, log_p, log_target=True, reduction="batchmean")
    return term.temperature**2 * divergence
