"""Cross-entropy on the correct answer."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from workflow_scripts.config.terms import CrossEntropyTerm
from workflow_scripts.training.objectives.outputs import StudentOutputs, mean_over_examples


def cross_entropy(term: CrossEntropyTerm, student: StudentOutputs) -> Tensor:
    """Mean negative log-likelihood of an example's answer tokens, then of examples; nats."""
    losses = functional.cross_entropy(
        student.logits["answer"].float(), student.answers, reduction="none"
    )
    return mean_over_examples(losses, student.examples["answer"], student.batch_size)
