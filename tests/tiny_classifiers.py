"""Tiny models with a classification head, as training leaves their checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from workflow_scripts.config.training import Adapter
from workflow_scripts.modeling.loading import LocalModel, load_classifier
from workflow_scripts.training.adapters import save_checkpoint, student_of


def save_classifier(
    model: LocalModel, adapter: Adapter, labels: int, folder: Path, seed: int = 0
) -> Any:
    """A checkpoint with random changes to all that the adapter trains. Returns the student."""
    torch.manual_seed(seed)
    student = student_of(adapter, load_classifier(model, labels, device="cpu"))
    with torch.no_grad():
        for weight in student.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn_like(weight), alpha=0.3)
    save_checkpoint(adapter, student, folder, getattr(torch, model.dtype))
    return student.eval()
