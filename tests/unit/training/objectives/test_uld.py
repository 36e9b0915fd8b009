"""ULD: the distance of sorted probabilities, its tail, its gradient, and what is compared."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.unit.training.objectives.draws import value_of
from workflow_scripts.config.terms import ULDTerm
from workflow_scripts.teachers.targets import SortedLogits
from workflow_scripts.training.logit_rows import LogitRows
from workflow_scripts.training.objectives.outputs import StudentOutputs
from workflow_scripts.training.objectives.uld import (
    ordinals,
    pairs,
    put_by_rank,
    sorted_distance,
    uld,
)

POSITIONS = 5
# student's and teacher's vocabulary: padded on either side, and on none
SIZES = [(7, 23), (23, 7), (11, 11)]


def draw(seed: int, size: int, positions: int = POSITIONS) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(positions, size, dtype=torch.float64, generator=generator)


def by_formula(student: Tensor, teacher: Tensor, temperature: float = 1.0) -> np.ndarray:
    """Of logits (positions, vocabulary), as the paper writes it: Σ_i |p(sort)_i − q(sort)_i|."""
    size = max(student.shape[-1], teacher.shape[-1])
    sides = []
    for logits in (student.detach().numpy(), teacher.numpy()):
        powers = np.exp(logits / temperature)
        falling = -np.sort(-powers / powers.sum(-1, keepdims=True))
        sides.append(np.pad(falling, ((0, 0), (0, size - falling.shape[1]))))
    return np.abs(sides[0] - sides[1]).sum(-1)


def distance(student: Tensor, teacher: Tensor, k: int, temperature: float = 1.0) -> Tensor:
    """`sorted_distance` of two rows of logits where the k largest of the teacher's are kept."""
    kept = (teacher / temperature).softmax(-1).topk(k).values
    return sorted_distance((student / temperature).softmax(-1), kept, teacher.shape[-1])


# --- one position -------------------------------------------------------------------------


def test_two_distributions_by_hand():
    """The student's falling probabilities are .5, .3, .2; the teacher's .6, .4 and nothing."""
    student = torch.tensor([[0.2, 0.5, 0.3]])
    value = sorted_distance(student, torch.tensor([[0.6, 0.4]]), vocabulary=2)
    assert value.tolist() == pytest.approx([0.1 + 0.1 + 0.2])


def test_a_tail_by_hand():
    """Of five tokens two are kept; .3 is left, .1 each. The student has .5, .3, .2."""
    student = torch.tensor([[0.2, 0.5, 0.3]])
    value = sorted_distance(student, torch.tensor([[0.4, 0.3]]), vocabulary=5)
    assert value.tolist() == pytest.approx([0.1 + 0 + 0.1 + 0.1 + 0.1])


def test_a_tail_reaches_no_further_than_the_teachers_vocabulary():
    """Of three tokens one is kept; .4 is left, .2 each. The student has a fourth token."""
    student = torch.tensor([[0.1, 0.2, 0.3, 0.4]])
    value = sorted_distance(student, torch.tensor([[0.6]]), vocabulary=3)
    assert value.tolist() == pytest.approx([0.2 + 0.1 + 0 + 0.1])


@pytest.mark.parametrize("temperature", [0.7, 1.0, 3.0])
@pytest.mark.parametrize(("own", "vocabulary"), SIZES)
def test_is_the_formula_when_the_whole_vocabulary_is_kept(own, vocabulary, temperature):
    student, teacher = draw(0, own), draw(1, vocabulary)
    value = distance(student, teacher, vocabulary, temperature)
    assert value.numpy() == pytest.approx(by_formula(student, teacher, temperature), rel=1e-12)


@pytest.mark.parametrize(("own", "vocabulary"), SIZES)
def test_what_is_left_out_costs_at_most_twice_its_mass(own, vocabulary):
    student, teacher = draw(0, own, 40), draw(1, vocabulary, 40)
    exact = torch.tensor(by_formula(student, teacher))
    for k in range(1, vocabulary + 1):
        left_out = 1 - teacher.softmax(-1).topk(k).values.sum(-1)
        error = (distance(student, teacher, k) - exact).abs()
        assert (error <= 2 * left_out + 1e-12).all()
    assert error.max() < 1e-12


def test_an_even_tail_is_exact_with_any_number_kept():
    teacher = torch.cat([draw(1, 3) + 9, torch.zeros(POSITIONS, 20)], dim=-1)
    student = draw(0, 15)
    expected = by_formula(student, teacher)
    for k in (3, 4, 10):
        assert distance(student, teacher, k).numpy() == pytest.approx(expected, rel=1e-9)


def test_tokens_may_be_named_as_they_like():
    teacher = draw(1, 9)
    shuffled = teacher[:, torch.randperm(9, generator=torch.Generator().manual_seed(0))]
    assert distance(shuffled, teacher, 9).abs().max() < 1e-12


def test_two_certain_models_of_any_vocabulary_are_at_zero_and_the_opposite_is_almost_two():
    certain, open_minded = torch.tensor([[50.0] + [0.0] * 6]), torch.zeros(1, 1000)
    assert distance(certain, torch.tensor([[50.0, 0, 0]]), 1).item() == pytest.approx(0)
    assert distance(certain, open_minded, 10).item() == pytest.approx(2 * (1 - 1 / 1000))


def test_many_positions_are_each_as_alone():
    student, teacher = draw(0, 7, 67), draw(1, 9, 67)
    together = distance(student, teacher, 4)
    alone = [distance(student[[row]], teacher[[row]], 4) for row in range(67)]
    torch.testing.assert_close(together, torch.cat(alone))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("count", [1, 40, 2999, 3000])
def test_values_go_to_the_tokens_of_their_ranks(count, dtype):
    """Also where the others are as small as a float can be."""
    probabilities = (6 * draw(0, 3000)).softmax(-1).to(dtype)
    probabilities[:, 7:9] = torch.tensor([0.0, torch.finfo(dtype).tiny / 4])
    values = probabilities.topk(count).values
    found = torch.zeros_like(probabilities)
    put_by_rank(found, probabilities, values)
    assert torch.equal(found.topk(count).values, values)
    assert torch.equal(found[found > 0], probabilities[found > 0])


def test_no_positions_have_no_ranks():
    none = torch.empty(0, 9)
    put_by_rank(none, none, none)


# --- gradient -----------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [1, 3, 7])
@pytest.mark.parametrize(("own", "vocabulary"), SIZES)
def test_gradient_is_that_of_finite_differences(own, vocabulary, kept):
    teacher = draw(1, vocabulary, 3)
    assert torch.autograd.gradcheck(
        lambda logits: distance(logits, teacher, kept, temperature=1.2),
        draw(0, own, 3).requires_grad_(),
    )


def test_gradient_of_a_probability_is_the_sign_at_its_rank():
    student = torch.tensor([[0.2, 0.5, 0.3]], requires_grad=True)
    sorted_distance(student, torch.tensor([[0.6, 0.25, 0.15]]), vocabulary=3).sum().backward()
    assert student.grad.tolist() == [[1, -1, 1]]


def test_a_long_vocabulary_has_a_finite_gradient_where_logits_are_equal():
    student = torch.zeros(1, 5000, requires_grad=True)
    distance(student, torch.zeros(1, 3000), 10).sum().backward()
    assert student.grad.isfinite().all()


# --- which positions are compared ---------------------------------------------------------


def test_ordinals_begin_again_with_each_example():
    assert ordinals(torch.tensor([0, 0, 0, 2, 3, 3])).tolist() == [0, 1, 2, 0, 0, 1]


def pairs_of(student: list[list[int]], teacher: list[list[int]]) -> list[tuple[int, int]]:
    """Pairs of positions of examples that are given by their places."""
    sides = [
        (
            torch.tensor([example for example, places in enumerate(side) for _ in places]),
            torch.tensor([place for places in side for place in places]),
        )
        for side in (student, teacher)
    ]
    first, second = pairs(*sides[0], *sides[1])
    return list(zip(first.tolist(), second.tolist(), strict=True))


def test_positions_at_the_same_place_are_compared():
    assert pairs_of([[0, 3, 5, 9]], [[0, 2, 5, 6, 9]]) == [(0, 0), (2, 2), (3, 4)]


def test_of_several_positions_at_a_place_the_first_counts():
    assert pairs_of([[0, 0, 2, 2]], [[0, 2, 2]]) == [(0, 0), (2, 1)]


def test_places_of_other_examples_do_not_match():
    assert pairs_of([[0, 1], [0, 7]], [[0, 7], [0, 1]]) == [(0, 0), (2, 2)]


def test_the_shorter_answer_ends_the_comparison_by_index():
    examples = torch.tensor([0, 0, 0, 1]), torch.tensor([0, 1, 1])
    first, second = pairs(examples[0], ordinals(examples[0]), examples[1], ordinals(examples[1]))
    assert (first.tolist(), second.tolist()) == ([0, 3], [0, 1])


# --- the term -----------------------------------------------------------------------------

OWN, VOCABULARY = 9, 13
# of three answers: long with a token within a word, empty (the end token alone), one token
STUDENT_PLACES = [[0, 2, 5, 9, 12, 15], [0], [0, 4]]
TEACHER_PLACES = [[0, 5, 12, 15], [0, 0], [0, 1, 2, 3, 4]]
TERMS = {
    alignment: ULDTerm(objective="uld", weight=1, temperature=1.5, alignment=alignment)
    for alignment in ("index", "text")
}
COMPARED = {
    "index": [[(0, 0), (1, 1), (2, 2), (3, 3)], [(0, 0)], [(0, 0), (1, 1)]],
    "text": [[(0, 0), (2, 1), (4, 2), (5, 3)], [(0, 0)], [(0, 0), (1, 4)]],
}


def logits_of(example: int, side: list[list[int]], size: int) -> Tensor:
    return draw(10 * size + example, size, len(side[example]))


def batch_of(examples: list[int], k: int = VOCABULARY) -> tuple[StudentOutputs, SortedLogits]:
    """What the term sees of these examples."""
    own = torch.cat([logits_of(example, STUDENT_PLACES, OWN) for example in examples])
    taught = torch.cat([logits_of(example, TEACHER_PLACES, VOCABULARY) for example in examples])
    of_student, of_teacher = (
        [index for index, example in enumerate(examples) for _ in side[example]]
        for side in (STUDENT_PLACES, TEACHER_PLACES)
    )
    student = StudentOutputs(
        examples={"answer": torch.tensor(of_student)},
        logits={"answer": LogitRows.of(own)},
        states={},
        answers=torch.zeros(len(own), dtype=torch.long),
        boundaries=torch.tensor([place for e in examples for place in STUDENT_PLACES[e]]),
        label_logits=torch.empty(0, 0),
        gold=torch.empty(0),
        batch_size=len(examples),
        zero=torch.zeros(()),
    )
    teacher = SortedLogits(
        values=taught.topk(k).values,
        logsumexp=(taught / 1.5).logsumexp(-1),
        boundaries=torch.tensor(
            [place for e in examples for place in TEACHER_PLACES[e]], dtype=torch.int32
        ),
        examples=torch.tensor(of_teacher),
        vocabulary=VOCABULARY,
        temperature=1.5,
    )
    return student, teacher


def loss(term: ULDTerm, student: StudentOutputs, teacher: SortedLogits) -> Tensor:
    return value_of(uld(term, student, teacher), student)


@pytest.mark.parametrize("alignment", ["index", "text"])
def test_is_the_mean_over_compared_positions_and_then_over_examples(alignment):
    means = []
    for example, compared in enumerate(COMPARED[alignment]):
        own = logits_of(example, STUDENT_PLACES, OWN)[[pair[0] for pair in compared]]
        taught = logits_of(example, TEACHER_PLACES, VOCABULARY)[[pair[1] for pair in compared]]
        means.append(by_formula(own, taught, temperature=1.5).mean())
    value = loss(TERMS[alignment], *batch_of([0, 1, 2]))
    assert value.item() == pytest.approx(np.mean(means), rel=1e-5)


@pytest.mark.parametrize("alignment", ["index", "text"])
def test_micro_batches_have_the_loss_of_the_whole_batch(alignment):
    whole = loss(TERMS[alignment], *batch_of([0, 1, 2]))
    parts = [loss(TERMS[alignment], *batch_of([example])) for example in (0, 1, 2)]
    torch.testing.assert_close(whole, torch.stack(parts).mean())


def test_positions_that_are_not_compared_have_no_gradient():
    student, teacher = batch_of([0])
    logits = student.logits["answer"].hidden.requires_grad_()
    loss(TERMS["text"], student, teacher).backward()
    assert logits.grad.abs().sum(-1).ne(0).tolist() == [True, False, True, False, True, True]


def test_is_float32_whatever_the_students_dtype():
    student, teacher = batch_of([0, 2])
    logits = LogitRows.of(student.logits["answer"].hidden.bfloat16())
    narrow = StudentOutputs(**vars(student) | {"logits": {"answer": logits}})
    value = loss(TERMS["index"], narrow, teacher)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(loss(TERMS["index"], student, teacher).item(), rel=1e-2)


def test_a_very_long_answer_is_compared_to_its_end():
    length = 3000
    places = torch.arange(length)
    same = torch.zeros(length, dtype=torch.long)
    first, second = pairs(same, places, same[: length // 2], places[::2])
    assert first.tolist() == list(range(0, length, 2))
    assert second.tolist() == list(range(length // 2))


def test_another_temperature_is_refused():
    term = ULDTerm(objective="uld", weight=1, temperature=2)
    with pytest.raises(ValueError, match=r"holds T = 1\.5, not 2"):
        loss(term, *batch_of([0]))
