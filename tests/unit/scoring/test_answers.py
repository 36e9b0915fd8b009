from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from workflow_scripts.results.scorers import SCORERS
from workflow_scripts.scoring.answers import (
    Completion,
    Score,
    _plain_number,
    score_choice,
    score_likelihood,
    score_number,
    score_word,
)
from workflow_scripts.scoring.predictions import ITEM_SCORERS
from workflow_scripts.tasks.examples import Example

LETTERS = ("(A)", "(B)", "(C)")


def with_answer(answer: str) -> Example:
    return Example("item", "question", answer)


@pytest.mark.parametrize("completion", ["cats", " cats", "cats\n"])
def test_a_word_alone_is_strictly_right(completion: str) -> None:
    assert score_word(Completion(completion), with_answer("cats")) == Score(
        "cats", strict=True, flexible=True
    )


@pytest.mark.parametrize("completion", ["Cats", "cats.", "**cats**", "The plural is cats."])
def test_a_word_in_other_dress_is_flexibly_right(completion: str) -> None:
    assert score_word(Completion(completion), with_answer("cats")) == Score(
        "cats", strict=False, flexible=True
    )


@pytest.mark.parametrize("completion", ["cat", "catscats", "cats and dogs", "dogs\ncats"])
def test_another_word_is_wrong(completion: str) -> None:
    score = score_word(Completion(completion), with_answer("cats"))
    assert not score.strict
    assert not score.flexible


def test_a_phrase_is_read_from_the_last_words() -> None:
    assert score_word(Completion("It is New York!"), with_answer("New York")) == Score(
        "new york", False, True
    )


def test_hyphens_do_not_hide_words() -> None:
    assert score_word(Completion("mothers in law"), with_answer("mothers-in-law")).flexible


def test_nothing_is_wrong() -> None:
    assert score_word(Completion(""), with_answer("cats")) == Score(
        "", strict=False, flexible=False
    )


@pytest.mark.parametrize(
    ("completion", "gold"),
    [
        ("5", "-5"),
        ("-5", "5"),
        ("≥5", "≤5"),
        ("≥5", "5"),
        ("<5", ">5"),
        ("C#", "C++"),
        ("C", "C#"),
        ("C++", "C"),
        ("a = b", "a ≠ b"),
        ("$5", "€5"),
        ("कुत्ता", "कुत्ते"),
        ("3.5", "5"),
        ("1,234", "234"),
        ("1/2", "2"),
        ("12:30", "30"),
        ("2+3", "3"),
    ],
)
def test_signs_symbols_and_marks_are_part_of_a_word(completion: str, gold: str) -> None:
    assert not score_word(Completion(completion), with_answer(gold)).flexible
    assert not score_word(Completion(f"It is {completion}."), with_answer(gold)).flexible


@pytest.mark.parametrize(
    ("completion", "gold"),
    [
        ("It is -5.", "-5"),
        ("It is \N{MINUS SIGN}5.", "-5"),
        ("x=-5", "-5"),
        ("2+3=5", "5"),
        ("$5$", "5"),
        ("US$5.", "5"),
        ("5 €", "5"),
        ("I like **C++**!", "C++"),
        ("It is कुत्ते।", "कुत्ते"),
        ("It is an e\N{COMBINING ACUTE ACCENT}tude", "étude"),
        ("`cats`", "cats"),
        ("cats 😊", "cats"),
        ("# Cats", "cats"),
    ],
)
def test_what_decorates_a_word_is_no_part_of_it(completion: str, gold: str) -> None:
    assert score_word(Completion(completion), with_answer(gold)).flexible


@pytest.mark.parametrize(("completion", "right"), [("+", True), ("-", False), ("", False)])
def test_an_answer_of_symbols_is_compared_as_it_is(completion: str, right: bool) -> None:
    assert score_word(Completion(completion), with_answer("+")).flexible is right


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
    assert score_number(Completion(completion), with_answer(gold)).strict


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
    assert score_number(Completion(completion), with_answer(gold)) == Score(
        prediction, strict=False, flexible=True
    )


@pytest.mark.parametrize(
    ("completion", "gold"), [("#### 5", "-5"), ("#### 180", "18"), ("#### 18.00", "18")]
)
def test_another_number_is_wrong(completion: str, gold: str) -> None:
    score = score_number(Completion(completion), with_answer(gold))
    assert not score.strict
    assert not score.flexible


def test_the_strict_teacher_target_wants_the_mark() -> None:
    assert not score_number(Completion("18"), with_answer("18")).strict


def test_the_last_number_counts_even_after_the_marked_one() -> None:
    assert score_number(Completion("#### 18\nThat is 3 a day"), with_answer("18")) == Score(
        "3", True, False
    )


def test_a_completion_without_number_predicts_nothing() -> None:
    assert score_number(Completion("I do not know"), with_answer("18")) == Score(
        "", strict=False, flexible=False
    )


@pytest.mark.parametrize("split", ["train", "test"])
def test_every_gold_answer_of_gsm8k_is_right_in_both_reads(
    real_data: Callable[[str], Path], split: str
) -> None:
    lines = (real_data("gsm8k") / f"{split}.jsonl").read_text().splitlines()
    answers = [json.loads(line)["answer"] for line in lines]
    wrong = [
        answer
        for answer in answers
        if not (
            (score := score_number(Completion(answer), with_answer(answer))).strict
            and score.flexible
        )
    ]
    assert len(answers) == {"train": 7473, "test": 1319}[split]
    assert wrong == []


@pytest.mark.parametrize("split", ["train", "test"])
def test_negative_and_long_numbers_of_gsm8k_are_read_whole(
    real_data: Callable[[str], Path], split: str
) -> None:
    lines = (real_data("gsm8k") / f"{split}.jsonl").read_text().splitlines()
    golds = [json.loads(line)["answer"].split("#### ")[1] for line in lines]
    read = [
        score_number(Completion(f"It is {gold}."), with_answer(gold)).prediction for gold in golds
    ]
    assert [float(number) for number in read] == [float(g.replace(",", "")) for g in golds]
    assert sum(gold.startswith("-") for gold in golds) == {"train": 3, "test": 2}[split]
    assert sum("," in gold for gold in golds) == {"train": 79, "test": 14}[split]


def among(labels: Sequence[str], text: str) -> Completion:
    return Completion(text, tuple(labels))


@pytest.mark.parametrize("text", ["(B)", " (B)\n"])
def test_a_label_alone_is_strictly_right(text: str) -> None:
    assert score_choice(among(LETTERS, text), with_answer("(B)")) == Score(
        "(B)", strict=True, flexible=True
    )


@pytest.mark.parametrize(
    ("labels", "answer"), [(("A", "B", "C"), "B"), (LETTERS, "(B)")], ids=["bare", "in brackets"]
)
@pytest.mark.parametrize("text", ["The answer is (B).", "**B**", "B, not C", "B) the owl"])
def test_the_first_label_that_is_named_is_read(
    labels: Sequence[str], answer: str, text: str
) -> None:
    assert score_choice(among(labels, text), with_answer(answer)) == Score(answer, False, True)


@pytest.mark.parametrize(
    ("labels", "text", "prediction"),
    [
        ("ABCDEFGHI", "I think the answer is C", "C"),
        ("ABCD", "A is wrong; the answer is (B).", "B"),
        ("ABCD", "A or B? **Answer:** C", "C"),
        ("ABCD", "A is out, so the correct option is D", "D"),
        ("ABCD", "A? Nein. Die Antwort lautet B", "B"),
        ("ABCD", "A no. Respuesta: B", "B"),
        ("ABCD", "A не подходит. Ответ: B", "B"),
        ("ABCD", "A不对，答案是B。", "B"),
        ("ABCD", "A 아니라 정답은 B입니다", "B"),
        ("ABCD", "The answer is B. The answer is C.", "B"),
    ],
)
def test_a_label_that_is_announced_is_read_before_one_that_is_mentioned(
    labels: str, text: str, prediction: str
) -> None:
    assert score_choice(among(labels, text), with_answer(prediction)).prediction == prediction


def test_a_label_alone_on_the_first_line_is_the_answer_whatever_follows() -> None:
    text = "(B)\n\nQuestion: Which swims?\nAnswer: C"
    assert score_choice(among("ABC", text), with_answer("B")).prediction == "B"


@pytest.mark.parametrize(
    ("labels", "text", "prediction"),
    [
        ("ABCD", "答案是B。", "B"),
        ("ABCD", "我选B", "B"),
        ("ABCD", "Bは正しい", "B"),
        ("12", "第1个", "1"),
        ("是否", "答案是否", "否"),
        ("对错", "答案：错", "错"),
        ("是否", "不是", ""),
        ("ABCD", "The answer is Bob", ""),
        ("ABCD", "B2", ""),
        ("12", "12", ""),
    ],
)
def test_a_latin_label_stands_apart_from_latin_letters_and_digits_only(
    labels: str, text: str, prediction: str
) -> None:
    assert score_choice(among(labels, text), with_answer("B")).prediction == prediction


@pytest.mark.parametrize("label", ["us", "US"])
def test_of_labels_that_differ_in_case_the_one_in_its_own_is_read(label: str) -> None:
    assert score_choice(among(["us", "US"], label), with_answer(label)).flexible


@pytest.mark.parametrize("text", ["", "Bob", "b", "I do not know"])
def test_a_completion_that_names_no_label_predicts_nothing(text: str) -> None:
    assert score_choice(among(LETTERS, text), with_answer("(B)")) == Score(
        "", strict=False, flexible=False
    )


@pytest.mark.parametrize("text", ["yes", "YES!", "Well, yes."])
def test_a_label_that_is_a_word_is_read_in_any_case(text: str) -> None:
    assert score_choice(among(["Yes", "No"], text), with_answer("Yes")).flexible


def test_a_label_inside_another_word_is_not_named() -> None:
    assert (
        score_choice(among(["valid", "invalid"], "invalid"), with_answer("invalid")).prediction
        == "invalid"
    )


def test_of_labels_at_one_place_the_longer_is_named() -> None:
    labels = ["York", "York City"]
    assert (
        score_choice(among(labels, "York City"), with_answer("York City")).prediction == "York City"
    )


@pytest.mark.parametrize(("text", "prediction"), [("+", "+"), ("it is -", "-")])
def test_labels_of_symbols_are_named_as_they_are(text: str, prediction: str) -> None:
    assert score_choice(among(["+", "-"], text), with_answer("+")).prediction == prediction


def test_the_likeliest_label_is_predicted_whatever_was_generated() -> None:
    completion = Completion("Yes", losses={"Yes": 2.5, "No": 2.0})
    assert score_likelihood(completion, with_answer("No")).prediction == "No"


@pytest.mark.parametrize(
    ("answer", "strict", "flexible"), [("No", True, False), ("Maybe", False, True)]
)
def test_likelihood_is_read_in_sum_and_per_byte(answer: str, strict: bool, flexible: bool) -> None:
    completion = Completion("", losses={"No": 2.0, "Maybe": 2.5})  # 1.0 and 0.5 nats per byte
    score = score_likelihood(completion, with_answer(answer))
    assert (score.prediction, score.strict, score.flexible) == ("No", strict, flexible)


def test_labels_are_measured_in_bytes_and_not_in_characters() -> None:
    completion = Completion("", losses={"да": 2.0, "no": 1.5})  # 0.5 and 0.75 nats per byte
    assert score_likelihood(completion, with_answer("да")).flexible


def test_every_scorer_that_a_study_can_name_has_a_function() -> None:
    assert set(SCORERS) == {*ITEM_SCORERS, "bert_score", "components"}


# --- long texts ---------------------------------------------------------------------------

LONG = 100_000
UNITS = ["1", "1,", ".", "$", "-", "+", "#### ", "#### 1", "a", "a ", "(A) ", "answer ", " ", "\n"]
UNITS += ["_", "答案", "是", "é", "€", "<="]


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("end", ["", "a", "7", "\n"])
def test_a_long_text_is_scored_in_a_time_that_grows_with_its_length(unit: str, end: str) -> None:
    text = unit * (LONG // len(unit)) + end
    began = time.perf_counter()
    score_number(Completion(text), with_answer("18"))
    score_word(Completion(text), with_answer("5 €"))
    for labels in (LETTERS, ("+", "-"), ("_", "是"), ("yes", "answer")):
        score_choice(Completion(text, labels), with_answer(labels[0]))
    # 0.3 s on one slow core; a time that grows with the square is above 3 s
    assert time.perf_counter() - began < 2


def test_numbers_are_compared_without_what_the_harness_ignores() -> None:
    ignored = (",", r"\$", "(?s).*#### ", r"\.$")
    draw = random.Random(0)
    parts = ["1", "-", ".", ",", "$", "#", "####", "#### ", " ", "\n", "a"]
    for _ in range(2000):
        text = "".join(draw.choices(parts, k=draw.randint(0, 8)))
        plain = text
        for pattern in ignored:
            plain = re.sub(pattern, "", plain)
        assert _plain_number(text) == plain.strip().casefold(), text


@pytest.mark.parametrize(
    ("completion", "label"),
    [("+", "+"), ("--", "-"), ("\n -\n+", "-"), ("- a\n+", "-"), ("-- +\n", "-"), ("a", "")],
)
def test_a_label_may_be_a_sign(completion: str, label: str) -> None:
    score = score_choice(Completion(completion, ("+", "-")), with_answer("+"))
    assert score.prediction == label
