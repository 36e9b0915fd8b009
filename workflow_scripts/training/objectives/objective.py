"""An objective: what its terms read of teacher and student, and their loss.

The plan reads objectives too, so their modules import torch inside the functions that need it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workflow_scripts.config.base import Name, Position, Site
from workflow_scripts.config.teachers import TargetSettings
from workflow_scripts.config.terms import Layers, StatesTerm

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class States:
    """Hidden states that a term reads of the student."""

    site: Site
    position: Position
    layers: Layers


@dataclass(frozen=True)
class Reads:
    """What a term reads of its teachers and of the student.

    target: of the condition's teacher; None for a term on the correct answer.
    reference: a teacher without context whose same target is read after the teacher's.
    logits, states: of the student.
    labels: whether the student's logits of the task's labels are read, instead of all.
    """

    target: TargetSettings | None = None
    reference: Name | None = None
    logits: Position | None = None
    states: States | None = None
    labels: bool = False


@dataclass(frozen=True)
class Objective:
    """One value of a term's `objective`. Each field takes the term's settings first.

    loss: (term, student outputs, each teacher's target as `TargetKind.batched` makes it) →
        scalar, the mean over the examples of a batch.
    """

    reads: Callable[[Any], Reads]
    loss: Callable[..., Tensor]


def reads_of_states(term: StatesTerm, reference: Name | None = None) -> Reads:
    return Reads(
        target=TargetSettings(kind="hidden", site=term.site, position=term.position),
        reference=reference,
        states=States(term.site, term.position, term.layers),
    )


def reads_of_logits(position: Position, top_k: int, temperature: float = 1.0) -> Reads:
    target = TargetSettings(kind="logits", position=position, top_k=top_k, temperature=temperature)
    return Reads(target=target, logits=position)
