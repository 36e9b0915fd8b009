from __future__ import annotations

import pytest

from workflow_scripts.tasks.scorers import Score, score_number, score_word


@pytest.mark.parametrize("completion", ["cats", " cats", "cats\n"])
def test_a_word_alone_is_strictly_right(completion: str) -> None:
    assert score_word(completion, "cats") == Score("cats", strict=True, flexible=True)


@pytest.mark.parametrize("completion", ["Cats", "cats.", "**cats**", "The plural is cats."])
def test_a_word_in_other_dress_is_flexibly_right(completion: str) -> None:
    assert score_word(completion, "cats") == Score("cats", strict=False, flexible=True)


@pytest.mark.parametrize("completion", ["cat", "catscats", "cats and dogs", "dogs\ncats"])
def test_another_word_is_wrong(completion: str) -> None:
    score = score_word(completion, "cats")
    assert not score.strict
    assert not score.flexible


def test_a_phrase_is_read_from_the_last_words() -> None:
    assert score_word("It is New York!", "New York") == Score("new york", False, True)


def test_hyphens_do_not_hide_words() -> None:
    assert score_word("mothers in law", "mothers-in-law").flexible


def test_nothing_is_wrong() -> None:
    assert score_word("", "cats") == Score("", strict=False, flexible=False)


@pytest.mark.parametrize(("completion", "right"), [("+", True), ("-", False), ("", False)])
def test_an_answer_of_symbols_is_compared_as_it_is(completion: str, right: bool) -> None:
    assert score_word(completion, "+").flexible is right


@pytest.mark.parametrize(
    ("completion", "gold"),
    [
        ("So it is 5 + 13 = 18.\n#### 18", "18"),
        ("#### 1,234", "1234"),
        ("#### -5", "-5"),
        ("#### 18.", "18"),
        ("#### 18", "Ten and eight are 18.\n#### 18"),
        ("#### 1234", "They are 1,234.\n#### 1,234"),
        ("#### 2\n#### 3", "2"),  # the first marked number counts
    ],
)
def test_a_marked_number_is_strictly_right(completion: str, gold: str) -> None:
    assert score_number(completion, gold).strict


@pytest.mark.parametrize(
    ("completion", "gold", "prediction"),
    [
        ("The answer is 18", "18", "18"),
        ("The answer is $18.", "18", "18"),
        ("She has $1,234.", "1234", "1234"),
        ("It falls to -5", "-5", "-5"),
        ("First 3, then 18 apples", "18", "18"),
        ("It costs $18.00", "18.00", "18.00"),
    ],
)
def test_the_last_number_is_flexibly_right(completion: str, gold: str, prediction: str) -> None:
    assert score_number(completion, gold) == Score(prediction, strict=False, flexible=True)


@pytest.mark.parametrize(
    ("completion", "gold"), [("#### 5", "-5"), ("#### 180", "18"), ("#### 18.00", "18")]
)
def test_another_number_is_wrong(completion: str, gold: str) -> None:
    score = score_number(completion, gold)
    assert not score.strict
    assert not score.flexible


def test_the_strict_reading_wants_the_mark() -> None:
    assert not score_number("18", "18").strict


def test_the_last_number_counts_even_after_the_marked_one() -> None:
    assert score_number("#### 18\nThat is 3 a day", "18") == Score("3", True, False)


def test_a_completion_without_number_predicts_nothing() -> None:
    assert score_number("I do not know", "18") == Score("", strict=False, flexible=False)
