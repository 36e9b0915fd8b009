"""Cross-entropy on the answer, and how positions become one number."""

from __future__ import annotations

import math

import torch

from tests.unit.training.objectives.draws import value_of
from workflow_scripts.config.terms import CrossEntropyTerm
from workflow_scripts.training.logit_rows import LogitRows
from workflow_scripts.training.objectives.cross_entropy import cross_entropy
from workflow_scripts.training.objectives.outputs import StudentOutputs, mean_over_examples

EXAMPLES = torch.tensor([0, 1, 1, 1])


def outputs(logits: torch.Tensor, answers: torch.Tensor, examples: torch.Tensor) -> StudentOutputs:
    return StudentOutputs(
        examples={"answer": examples},
        logits={"answer": LogitRows.of(logits)},
        states={},
        answers=answers,
        boundaries=torch.empty(0),
        label_logits=torch.empty(0, 0),
        gold=torch.empty(0),
        batch_size=int(examples.max()) + 1,
        zero=torch.zeros(()),
    )


def loss(student: StudentOutputs) -> torch.Tensor:
    return value_of(cross_entropy(CrossEntropyTerm(objective="cross_entropy"), student), student)


def test_is_the_mean_over_examples_of_the_mean_over_their_tokens():
    logits = torch.randn(4, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    answers = torch.tensor([2, 0, 6, 3])
    losses = [
        -math.log(math.exp(row[token]) / sum(map(math.exp, row)))
        for row, token in zip(logits.tolist(), answers.tolist(), strict=True)
    ]
    expected = (losses[0] + sum(losses[1:]) / 3) / 2
    value = loss(outputs(logits, answers, EXAMPLES))
    torch.testing.assert_close(value.item(), expected, rtol=1e-5, atol=1e-6)


def test_gradient_is_probability_minus_target():
    logits = torch.randn(4, 7, generator=torch.Generator().manual_seed(0)).requires_grad_()
    answers = torch.tensor([2, 0, 6, 3])
    loss(outputs(logits, answers, EXAMPLES)).backward()
    weights = torch.tensor([1 / 2, 1 / 6, 1 / 6, 1 / 6])[:, None]
    expected = weights * (logits.softmax(-1) - torch.eye(7)[answers])
    torch.testing.assert_close(logits.grad, expected.detach())


def test_an_example_weighs_the_same_whatever_its_length():
    values = torch.tensor([6.0, 1.0, 2.0, 3.0])
    assert mean_over_examples(values, EXAMPLES, 2).item() == (6 + 2) / 2


def test_sum_adds_an_examples_positions():
    values = torch.tensor([6.0, 1.0, 2.0, 3.0])
    assert mean_over_examples(values, EXAMPLES, 2, "sum").item() == (6 + 6) / 2


def test_micro_batches_average_to_the_whole_batch():
    values, examples = torch.arange(6.0), torch.tensor([0, 0, 1, 2, 2, 3])
    whole = mean_over_examples(values, examples, 4)
    halves = [
        mean_over_examples(values[:3], examples[:3], 2),
        mean_over_examples(values[3:], examples[3:] - 2, 2),
    ]
    torch.testing.assert_close(whole, torch.stack(halves).mean())
