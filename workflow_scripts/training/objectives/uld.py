"""Matching the teacher's sorted probabilities, whatever its tokenizer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflow_scripts.config.teachers import TargetSettings
from workflow_scripts.config.terms import ULDTerm
from workflow_scripts.teachers.targets import SortedLogits
from workflow_scripts.training.objectives.objective import Objective, Reads
from workflow_scripts.training.objectives.outputs import StudentOutputs, mean_over_examples

if TYPE_CHECKING:
    from torch import Tensor

# positions that are sorted at once
CHUNK = 64


def uld(term: ULDTerm, student: StudentOutputs, teacher: SortedLogits) -> Tensor:
    """Mean over an example's compared positions of `sorted_distance`, then over examples.

    Universal Logit Distillation, Boizard et al. 2024 (2402.12030), in float32.
    """
    of_student, of_teacher = compared_positions(term, student, teacher)
    logits = student.logits["answer"][of_student].float()
    distances = sorted_distance(
        (logits / term.temperature).softmax(-1),
        largest_probabilities(teacher, term.temperature)[of_teacher],
        teacher.vocabulary,
    )
    return mean_over_examples(distances, student.examples["answer"][of_student], student.batch_size)


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

    chunks = zip(student.split(CHUNK), teacher.split(CHUNK), strict=True)
    return torch.cat([_distance(q, p, vocabulary) for q, p in chunks])


def _distance(student: Tensor, teacher: Tensor, vocabulary: int) -> Tensor:
    import torch

    own, kept = student.shape[-1], teacher.shape[-1]
    rest = (1 - teacher.sum(-1, keepdim=True)).clamp(min=0)
    even = rest / max(vocabulary - kept, 1)
    whole = torch.cat([teacher, even.expand(-1, vocabulary - kept)], dim=-1)
    # below these ranks all of the teacher's tokens are equal, so the student's order is irrelevant
    ranked, below = (vocabulary, 0 * even) if own > vocabulary else (min(kept, own), even)
    # the ranks of the tokens are constants of the gradient
    tokens = student.detach().topk(ranked).indices
    matched = below.repeat(1, own).scatter(-1, tokens, whole[:, :ranked])
    return (student - matched).abs().sum(-1) + whole[:, own:].sum(-1)


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
