"""Cross-entropy on the correct label."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from workflow_scripts.config.terms import LabelCrossEntropyTerm
from workflow_scripts.training.objectives.outputs import StudentOutputs


def label_cross_entropy(term: LabelCrossEntropyTerm, student: StudentOutputs) -> Tensor:
    """Mean over examples of −log of the correct label's probability among the labels; nats.

    Pattern-based fine-tuning, Schick and Schütze 2021 (2001.07676), section 3.1.
    """
    return functional.cross_entropy(student.label_logits.float(), student.gold)
