"""Cross-entropy on the correct answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflow_scripts.config.terms import CrossEntropyTerm
from workflow_scripts.training.objectives.objective import Objective, Reads
from workflow_scripts.training.objectives.outputs import StudentOutputs, mean_over_examples

if TYPE_CHECKING:
    from torch import Tensor


def cross_entropy(term: CrossEntropyTerm, student: StudentOutputs) -> Tensor:
    """Mean negative log-likelihood of an example's answer tokens, then of examples; nats."""
    from torch.nn import functional

    losses = functional.cross_entropy(
        student.logits["answer"].float(), student.answers, reduction="none"
    )
    return mean_over_examples(losses, student.examples["answer"], student.batch_size)


OBJECTIVE = Objective(
    reads=lambda term: Reads(logits="answer"),
    loss=cross_entropy,
)
