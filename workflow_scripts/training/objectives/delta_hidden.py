"""Matching the shift of the hidden states by the teacher's context."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from workflow_scripts.config.terms import DeltaHiddenTerm
from workflow_scripts.training.layers import resolve_layers
from workflow_scripts.training.objectives.hidden import reduced
from workflow_scripts.training.objectives.objective import Objective, reads_of_states
from workflow_scripts.training.objectives.outputs import StudentOutputs, mean_over_examples

if TYPE_CHECKING:
    from torch import Tensor

# bfloat16 rounds away shifts below this fraction of a state's length: they count as this long.
SHORTEST = 1e-3


def delta_hidden(
    term: DeltaHiddenTerm, student: StudentOutputs, teacher: Tensor, reference: Tensor
) -> Tensor:
    """Squared distance between the student's and the teacher's shift at the term's layers.

    teacher, reference: (positions, layers, width), every layer; the reference is the base
    model without context.
    """
    layers = resolve_layers(term.layers, teacher.shape[1])
    distances = shift_distance(
        student.states_at(term, layers),
        teacher[:, layers],
        reference[:, layers],
        normalize=term.normalize,
        reduction=term.reduction,
    )
    return mean_over_examples(distances, student.examples[term.position], student.batch_size)


def shift_distance(
    student: Tensor,
    teacher: Tensor,
    reference: Tensor,
    normalize: bool,
    reduction: Literal["sum", "mean"],
) -> Tensor:
    """‖(h_s − h_0) − (h_t − h_0)‖², summed or averaged over layers and width, in float32.

    `normalize` divides each layer of each position by ‖h_t − h_0‖²: an untrained student has 1 in
    every layer, whatever the shift, and the teacher 0. Without it the reference cancels, leaving
    the squared distance to the teacher's states.

    student, teacher, reference: (positions, layers, width). Returns (positions,).
    """
    student, teacher, reference = student.float(), teacher.float(), reference.float()
    squares = (student - teacher).square()
    if normalize:
        shortest = SHORTEST * reference.norm(dim=-1, keepdim=True)
        length = (teacher - reference).norm(dim=-1, keepdim=True).maximum(shortest)
        squares = squares / length.square()
    return reduced(squares, reduction)


OBJECTIVE = Objective(
    reads=lambda term: reads_of_states(term, term.reference),
    loss=delta_hidden,
)
