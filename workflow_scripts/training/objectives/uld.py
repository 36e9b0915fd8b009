"""Matching the teacher's sorted probabilities, whatever its tokenizer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflow_scripts.config.teachers import TargetSettings
from workflow_scripts.config.terms import ULDTerm
from workflow_scripts.teachers.targets import SortedLogits
from workflow_scripts.training.objectives.objective import Objective, Reads
from workflow_scripts.training.objectives.outputs import LogitLoss, StudentOutputs

if TYPE_CHECKING:
    from torch import Tensor


def uld(term: ULDTerm, student: StudentOutputs, teacher: SortedLogits) -> LogitLoss:
    """Mean over an example's compared positions of `sorted_distance`, then over examples.

    Universal Logit Distillation, Boizard et al. 2024 (2402.12030), in float32.
    """
    of_student, of_teacher = compared_positions(term, student, teacher)

    def distances(logits: Tensor, compared: slice) -> Tensor:
        return sorted_distance(
            (logits.float() / term.temperature).softmax(-1),
            largest_probabilities(teacher[of_teacher[compared]], term.temperature),
            teacher.vocabulary,
        )

    return student.logit_loss("answer", distances, rows=of_student)


def largest_probabilities(teacher: SortedLogits, temperature: float) -> Tensor:
    """softmax(z / T) of the teacher's k largest logits: (positions, k), in descending order.

    Raises ValueError when the teacher's logsumexp is of another temperature.
    """
    if teacher.temperature != temperature:
        raise ValueError(f"the target holds T = {teacher.temperature:g}, not {temperature:g}")
    return (teacher.values.float() / temperature - teacher.logsumexp.float()[:, None]).exp()


# --- distance -----------------------------------------------------------------------------


def sorted_distance(student: Tensor, teacher: Tensor, vocabulary: int) -> Tensor:
    """Σ_i |q_(i) − p_(i)|: both distributions in descending order, the shorter padded with zeros.

    The teacher's remaining probability, r = 1 − Σ_{i ≤ k} p_(i), is spread evenly over its other
    tokens. Exact when k covers its vocabulary; otherwise the error is at most 2r, since the true
    tail and the even one hold r each. The student's whole distribution counts.

    The gradient for a student's token is the sign of the difference at that token's rank.

    student: (positions, student vocabulary), probabilities in any order.
    teacher: (positions, k), its largest probabilities in descending order.
    vocabulary: size of the teacher's vocabulary, k or more.
    Returns (positions,), from 0 to 2, in the student's dtype.
    """
    import torch

    own, kept = student.shape[-1], teacher.shape[-1]
    rest = (1 - teacher.sum(-1, keepdim=True)).clamp(min=0)
    even = rest / max(vocabulary - kept, 1)
    whole = teacher
    if kept < vocabulary:
        whole = torch.cat([teacher, even.expand(-1, vocabulary - kept)], dim=-1)
    # below these ranks all of the teacher's tokens are equal, so the student's order is irrelevant
    ranked, below = (vocabulary, 0 * even) if own > vocabulary else (min(kept, own), even)
    # the ranks of the tokens are constants of the gradient
    tokens = largest(student.detach(), ranked)
    matched = below.repeat(1, own).scatter_(-1, tokens, whole[:, :ranked])
    return (student - matched).abs().sum(-1) + whole[:, own:].sum(-1)


def largest(probabilities: Tensor, count: int) -> Tensor:
    """Indices of the largest entries of each row, in descending order: (positions, count).

    On a CPU torch has a radix sort for one row of integers, ten times faster than its sort of
    floats. Floats of one sign are in the order of their bits.
    """
    import torch

    # torch sorts a part of a row where few are asked for
    if probabilities.device.type != "cpu" or 64 * count <= probabilities.shape[-1]:
        return probabilities.topk(count).indices
    bits = probabilities.view(torch.int64 if probabilities.dtype == torch.float64 else torch.int32)
    tokens = torch.empty(*bits.shape[:-1], count, dtype=torch.int64)
    for row, into in zip(bits, tokens, strict=True):
        into.copy_((-row).sort().indices[:count])
    return tokens


# --- alignment ----------------------------------------------------------------------------


def compared_positions(
    term: ULDTerm, student: StudentOutputs, teacher: SortedLogits
) -> tuple[Tensor, Tensor]:
    """Pairs of compared positions, as indices into the student's and the teacher's `answer`.

    `index` pairs the t-th positions of an example, up to the shorter answer; `text` pairs
    positions before which both have read the same text.
    """
    examples = student.examples["answer"]
    if term.alignment == "index":
        places = ordinals(examples), ordinals(teacher.examples)
    else:
        places = student.boundaries, teacher.boundaries
    return pairs(examples, places[0], teacher.examples, places[1])


def pairs(
    student_examples: Tensor,
    student_places: Tensor,
    teacher_examples: Tensor,
    teacher_places: Tensor,
) -> tuple[Tensor, Tensor]:
    """Indices of the student's and the teacher's positions at the same place of one example.

    The first of several positions at a place counts; places of one side only are left out.

    examples: (positions,) index of each position's example, ascending.
    places: (positions,), 0 or more, ascending within an example.
    Returns two tensors (pairs,), in the order of the examples.
    """
    import torch

    size = 1 + torch.cat([student_places, teacher_places]).max()
    of_student = student_examples * size + student_places
    of_teacher = teacher_examples * size + teacher_places
    return _firsts_within(of_student, of_teacher), _firsts_within(of_teacher, of_student)


def ordinals(examples: Tensor) -> Tensor:
    """(positions,) index of each position within its example; `examples` ascend."""
    import torch

    return torch.arange(len(examples), device=examples.device) - torch.searchsorted(
        examples, examples
    )


def _firsts_within(keys: Tensor, others: Tensor) -> Tensor:
    """Index of the first occurrence of each key that is also in `others`; `keys` ascend."""
    import torch

    is_first = keys.diff(prepend=keys[:1] - 1) > 0
    return (is_first & torch.isin(keys, others)).nonzero().squeeze(-1)


# --- registry row -------------------------------------------------------------------------


def _reads(term: ULDTerm) -> Reads:
    target = TargetSettings(
        kind="sorted", position="answer", top_k=term.top_k, temperature=term.temperature
    )
    return Reads(target=target, logits="answer")


OBJECTIVE = Objective(reads=_reads, loss=uld)
