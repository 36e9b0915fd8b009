"""The registry of objectives: what a term's `objective` names in the config. Needs no torch."""

from __future__ import annotations

from workflow_scripts.training.objectives import (
    cross_entropy,
    delta_hidden,
    hidden,
    label_cross_entropy,
    label_kl,
    logit_jsd,
    logit_kl,
    logit_mse,
    logit_reverse_kl,
    uld,
)
from workflow_scripts.training.objectives.objective import Objective

OBJECTIVES: dict[str, Objective] = {
    "cross_entropy": cross_entropy.OBJECTIVE,
    "delta_hidden": delta_hidden.OBJECTIVE,
    "hidden": hidden.OBJECTIVE,
    "label_cross_entropy": label_cross_entropy.OBJECTIVE,
    "label_kl": label_kl.OBJECTIVE,
    "logit_jsd": logit_jsd.OBJECTIVE,
    "logit_kl": logit_kl.OBJECTIVE,
    "logit_mse": logit_mse.OBJECTIVE,
    "logit_reverse_kl": logit_reverse_kl.OBJECTIVE,
    "uld": uld.OBJECTIVE,
}
