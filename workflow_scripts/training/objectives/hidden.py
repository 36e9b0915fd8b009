"""Matching the teacher's hidden states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from workflow_scripts.config.terms import HiddenTerm
from workflow_scripts.training.layers import resolve_layers
from workflow_scripts.training.objectives.objective import Objective, reads_of_states
from workflow_scripts.training.objectives.outputs import StudentOutputs, mean_over_examples

if TYPE_CHECKING:
    from torch import Tensor


def hidden(term: HiddenTerm, student: StudentOutputs, teacher: Tensor) -> Tensor:
    """Squared distance between student and teacher states at the term's layers.

    teacher: (positions, layers, width), every layer.
    """
    layers = resolve_layers(term.layers, teacher.shape[1])
    states = student.states_at(term, layers)
    distances = squared_distance(
        states, teacher[:, layers], normalize=term.normalize, reduction=term.reduction
    )
    return mean_over_examples(distances, student.examples[term.position], student.batch_size)


def squared_distance(
    student: Tensor, teacher: Tensor, normalize: bool, reduction: Literal["sum", "mean"]
) -> Tensor:
    """‖h_s − h_t‖², summed (the formula) or averaged over layers and width.

    `mean` reproduces implementations that call `mse_loss`; its value is smaller by a factor of
    layers × width. Computed in float32.

    student, teacher: (positions, layers, width). Returns (positions,).
    """
    from torch.nn import functional

    student, teacher = student.float(), teacher.float()
    if normalize:
        student, teacher = (
            functional.normalize(student, dim=-1),
            functional.normalize(teacher, dim=-1),
        )
    return reduced((student - teacher).square(), reduction)


def reduced(squares: Tensor, reduction: Literal["sum", "mean"]) -> Tensor:
    """Sum or mean over layers and width: (positions, layers, width) → (positions,)."""
    return squares.sum(dim=(1, 2)) if reduction == "sum" else squares.mean(dim=(1, 2))


OBJECTIVE = Objective(
    reads=reads_of_states,
    loss=hidden,
)
