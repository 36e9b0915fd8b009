"""Cross-entropy on the correct label."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflow_scripts.config.terms import LabelCrossEntropyTerm
from workflow_scripts.training.objectives.objective import Objective, Reads
from workflow_scripts.training.objectives.outputs import StudentOutputs

if TYPE_CHECKING:
    from torch import Tensor


def label_cross_entropy(term: LabelCrossEntropyTerm, student: StudentOutputs) -> Tensor:
    """Mean over examples of −log of the correct label's probability among the labels; nats.

    Pattern-based fine-tuning, Schick and Schütze 2021 (2001.07676), section 3.1.
    """
    from torch.nn import functional

    return functional.cross_entropy(student.label_logits.float(), student.gold)


OBJECTIVE = Objective(
    reads=lambda term: Reads(logits="prompt", labels=True),
    loss=label_cross_entropy,
)
