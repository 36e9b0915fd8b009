from __future__ import annotations

import math

import pytest

from workflow_scripts.answers.agreement import with_agreement
from workflow_scripts.answers.records import Answer
from workflow_scripts.tasks.examples import Example


def agreements(scorer: str, *texts: str, labels: tuple[str, ...] | None = None) -> list[float]:
    answers = [
        Answer(Example("x", "?", None), n, text, True, 2) for n, text in enumerate(texts, start=1)
    ]
    return [answer.agreement for answer in with_agreement(answers, scorer, labels)]


def test_numbers_agree_whatever_stands_around_them():
    texts = ("so 3 + 4 = 7\n#### 7", "it is 7.", "#### 8", "1,7 is no 7")
    assert agreements("number", *texts) == [0.75, 0.75, 0.25, 0.75]


def test_labels_agree_whatever_stands_around_them():
    texts = ("Yes", "The answer is Yes.", "No")
    found = agreements("choice", *texts, labels=("Yes", "No"))
    assert found == pytest.approx([2 / 3, 2 / 3, 1 / 3])


def test_other_answers_agree_if_their_texts_are_equal():
    assert agreements("word", "cats", "cats", "cats.", "mice") == [0.5, 0.5, 0.25, 0.25]


def test_answers_without_a_number_do_not_agree_with_each_other():
    assert agreements("number", "I do not know", "no idea", "4", "4") == [0.25, 0.25, 0.5, 0.5]


def test_one_answer_agrees_with_itself():
    assert agreements("number", "none") == agreements("word", "cats") == [1.0]


def test_unusable_answers_count_neither_for_nor_against():
    x, y = Example("x", "?", None), Example("y", "?", None)
    answers = [
        Answer(x, 1, "cats", True, 2),
        Answer(x, 2, "cats", False, 2),
        Answer(x, 3, "", True, 0),
        Answer(y, 1, "cats", True, 2),
        Answer(y, 2, "mice", True, 2),
    ]
    found = [answer.agreement for answer in with_agreement(answers, "word", None)]
    assert [found[0], *found[3:]] == [1.0, 0.5, 0.5]
    assert all(math.isnan(value) for value in found[1:3])
