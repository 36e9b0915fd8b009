"""Random logits of teachers and students, and a teacher's top k of them."""

from __future__ import annotations

import torch
from torch import Tensor

from workflow_scripts.teachers.targets import TopK
from workflow_scripts.training.objectives.outputs import LogitLoss, StudentOutputs
from workflow_scripts.training.tiles import weighted_sum

POSITIONS, VOCABULARY = 5, 23


def draw(seed: int) -> Tensor:
    return 4 * torch.randn(
        POSITIONS, VOCABULARY, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )


def top_k(logits: Tensor, k: int, temperature: float) -> TopK:
    values, indices = logits.topk(k)
    return TopK(values, indices, (logits / temperature).logsumexp(-1), temperature)


def value_of(loss: LogitLoss, student: StudentOutputs) -> Tensor:
    return weighted_sum(student, [loss], [1.0])[0]


def bucketed(logits: Tensor, indices: Tensor, temperature: float) -> Tensor:
    """Probabilities of k + 1 outcomes written out: the top k and everything else."""
    p = (logits / temperature).softmax(-1)
    kept = p.gather(-1, indices)
    return torch.cat([kept, 1 - kept.sum(-1, keepdim=True)], -1)
