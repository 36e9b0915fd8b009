"""The registry of objectives: what a term's `objective` names in the config."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from workflow_scripts.training.objectives.cross_entropy import cross_entropy
from workflow_scripts.training.objectives.delta_hidden import delta_hidden
from workflow_scripts.training.objectives.hidden import hidden
from workflow_scripts.training.objectives.label_cross_entropy import label_cross_entropy
from workflow_scripts.training.objectives.label_kl import label_kl
from workflow_scripts.training.objectives.logit_kl import logit_kl
from workflow_scripts.training.objectives.logit_mse import logit_mse
from workflow_scripts.training.objectives.uld import uld

# name → (term settings, student outputs, then what the term reads of each teacher) → scalar loss
OBJECTIVES: dict[str, Callable[..., Tensor]] = {
    "cross_entropy": cross_entropy,
    "delta_hidden": delta_hidden,
    "hidden": hidden,
    "label_cross_entropy": label_cross_entropy,
    "label_kl": label_kl,
    "logit_kl": logit_kl,
    "logit_mse": logit_mse,
    "uld": uld,
}
