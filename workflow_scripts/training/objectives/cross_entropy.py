"""Cross-entropy on the correct answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflow_scripts.config.terms import CrossEntropyTerm
from workflow_scripts.training.objectives.objective import Objective, Reads
from workflow_scripts.training.objectives.outputs import LogitLoss, StudentOutputs

if TYPE_CHECKING:
    from torch import Tensor


def cross_entropy(term: CrossEntropyTerm, student: StudentOutputs) -> LogitLoss:
    """Mean negative log-likelihood of an example's answer tokens, then of examples; nats."""
    from torch.nn import functional

    def losses(logits: Tensor, rows: slice) -> Tensor:
        return functional.cross_entropy(logits.float(), student.answers[rows], reduction="none")

    return student.logit_loss("answer", losses)


OBJECTIVE = Objective(
    reads=lambda term: Reads(logits="answer"),
    loss=cross_entropy,
)
