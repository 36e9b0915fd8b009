"""ULD against TRL's `ULDLoss` and against the formula written out in numpy.

TRL 1.16 (`trl.experimental.gold`) differs in what it does unless told:

- It compares the logits *at* the answer's tokens, each of which predicts the token after it
  (`uld_token_merge_strategy="observed"`). Ours begin with those that predict the first answer
  token, as its `"bayesian"` does.
- It leaves out the last position, which predicts the end token (`uld_skip_*_eos=True`); an answer
  of the end token alone then counts as 0. Ours are compared there too.
- It merges tokens up to common byte offsets and multiplies their probabilities
  (`use_extended_uld=True`), so that merged rows do not sum to 1. Our `alignment: text` compares
  whole distributions at common places instead, and has no counterpart there.
- It has a temperature for each side; ours is of both.
- It may add cross-entropy (`uld_crossentropy_weight`, 0), which is a term of its own here.

Both take the mean over the positions of an example and then over examples, and neither has Hinton's
T². With the first three turned off they are the same; with either of the first two on they are the
same on the positions that TRL then compares.
"""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.unit.training.objectives.draws import value_of
from workflow_scripts.config.terms import ULDTerm
from workflow_scripts.teachers.targets import SortedLogits
from workflow_scripts.training.logit_rows import LogitRows
from workflow_scripts.training.objectives.outputs import StudentOutputs
from workflow_scripts.training.objectives.uld import uld

TEMPERATURE = 1.2
# tokens before the answer, and of the answer with its end token, of each example
PROMPTS = {"student": (4, 6, 3), "teacher": (5, 2, 7)}
ANSWERS = {"student": (5, 2, 8), "teacher": (3, 2, 9)}
# student's and teacher's vocabulary
SIZES = [(17, 29), (29, 17), (20, 20)]


def draw(side: str, vocabulary: int) -> Tensor:
    """Logits of a batch: (examples, length, vocabulary)."""
    length = max(map(sum, zip(PROMPTS[side], ANSWERS[side], strict=True)))
    generator = torch.Generator().manual_seed(len(side) + vocabulary)
    return 2 * torch.randn(len(PROMPTS[side]), length, vocabulary, generator=generator)


@pytest.fixture(scope="module")
def trl():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the module is experimental
        from trl.experimental.gold.gold_trainer import ULDLoss

    def loss(student: Tensor, teacher: Tensor, **options: object) -> Tensor:
        settings = {
            "uld_crossentropy_weight": 0.0,
            "uld_distillation_weight": 1.0,
            "uld_student_temperature": TEMPERATURE,
            "uld_teacher_temperature": TEMPERATURE,
            "uld_skip_student_eos": False,
            "uld_skip_teacher_eos": False,
            "use_extended_uld": False,
            "uld_token_merge_strategy": "bayesian",
        }
        labels = [
            _labels(logits, side) for logits, side in ((student, "student"), (teacher, "teacher"))
        ]
        ids = [of_side.clamp(min=0) for of_side in labels]
        return ULDLoss(SimpleNamespace(**(settings | options)))(student, teacher, *labels, *ids)

    return loss


def _labels(logits: Tensor, side: str) -> Tensor:
    """−100 before and after the answer, as TRL marks it."""
    labels = torch.full(logits.shape[:2], -100)
    for row, (prompt, answer) in enumerate(zip(PROMPTS[side], ANSWERS[side], strict=True)):
        labels[row, prompt : prompt + answer] = 1
    return labels


def positions(side: str, later: int = 0, without_end: bool = False) -> tuple[Tensor, Tensor]:
    """Rows and columns of the logits that predict the answer's tokens.

    later: by how many tokens they are moved.
    """
    spans = [
        (row, range(prompt - 1 + later, prompt - 1 + later + answer - without_end))
        for row, (prompt, answer) in enumerate(zip(PROMPTS[side], ANSWERS[side], strict=True))
    ]
    rows = [row for row, span in spans for _ in span]
    return torch.tensor(rows), torch.tensor([column for _, span in spans for column in span])


def ours(student: Tensor, teacher: Tensor, **moved: object) -> Tensor:
    own_rows, own_columns = positions("student", **moved)
    rows, columns = positions("teacher", **moved)
    taught = teacher[rows, columns]
    outputs = StudentOutputs(
        examples={"answer": own_rows},
        logits={"answer": LogitRows.of(student[own_rows, own_columns])},
        states={},
        answers=torch.empty(0),
        boundaries=torch.empty(0),
        label_logits=torch.empty(0, 0),
        gold=torch.empty(0),
        batch_size=len(student),
        zero=torch.zeros(()),
    )
    target = SortedLogits(
        values=taught.sort(descending=True).values,
        logsumexp=(taught / TEMPERATURE).logsumexp(-1),
        boundaries=torch.empty(0),
        examples=rows,
        vocabulary=taught.shape[-1],
        temperature=TEMPERATURE,
    )
    loss = uld(ULDTerm(objective="uld", weight=1, temperature=TEMPERATURE), outputs, target)
    return value_of(loss, outputs)


@pytest.mark.parametrize(("own", "taught"), SIZES)
def test_value_and_gradient_are_those_of_trl(trl, own, taught):
    student, teacher = draw("student", own).requires_grad_(), draw("teacher", taught)
    ours(student, teacher).backward()
    gradient = student.grad
    student.grad = None
    expected = trl(student, teacher)
    expected.backward()
    torch.testing.assert_close(ours(student, teacher), expected)
    torch.testing.assert_close(gradient, student.grad)


@pytest.mark.parametrize(("own", "taught"), SIZES)
def test_trl_as_it_comes_reads_one_token_later(trl, own, taught):
    student, teacher = draw("student", own), draw("teacher", taught)
    expected = trl(student, teacher, uld_token_merge_strategy="observed")
    torch.testing.assert_close(ours(student, teacher, later=1), expected)
    assert ours(student, teacher).item() != pytest.approx(expected.item(), rel=1e-3)


def test_trl_as_it_comes_leaves_the_end_out(trl):
    student, teacher = draw("student", 17), draw("teacher", 29)
    expected = trl(student, teacher, uld_skip_student_eos=True, uld_skip_teacher_eos=True)
    torch.testing.assert_close(ours(student, teacher, without_end=True), expected)
    assert ours(student, teacher).item() != pytest.approx(expected.item(), rel=1e-3)


@pytest.mark.parametrize(("own", "taught"), SIZES)
def test_is_the_papers_formula(own, taught):
    student, teacher = draw("student", own), draw("teacher", taught)
    assert ours(student, teacher).item() == pytest.approx(_of_the_paper(student, teacher), rel=1e-5)


def _of_the_paper(student: Tensor, teacher: Tensor) -> float:
    """Σ_t Σ_i |p(sort)_i − q(sort)_i| of Boizard et al. 2024, over the number of positions."""
    size, means = max(student.shape[-1], teacher.shape[-1]), []
    for row, (first, second) in enumerate(zip(*ANSWERS.values(), strict=True)):
        total = 0.0
        for t in range(min(first, second)):
            sides = []
            for side, logits in (("student", student), ("teacher", teacher)):
                powers = np.exp(
                    logits[row, PROMPTS[side][row] - 1 + t].double().numpy() / TEMPERATURE
                )
                falling = np.sort(powers / powers.sum())[::-1]
                sides.append(np.pad(falling, (0, size - len(falling))))
            total += np.abs(sides[0] - sides[1]).sum()
        means.append(total / min(first, second))
    return float(np.mean(means))
