from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from workflow_scripts.config.slices import ScoringSlice
from workflow_scripts.results.scorers import SCORERS
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.scoring.golds import refuse_unmatchable
from workflow_scripts.tasks.examples import Example


def refuse(
    scorer: str, *answers: str, references: tuple[str, ...] = (), labels: tuple[str, ...] = ()
) -> None:
    examples = [Example(f"row-{n}", "?", text, references) for n, text in enumerate(answers, 1)]
    encoder = {"source": "roberta"} if scorer == "bert_score" else None
    settings = ScoringSlice(scorer=scorer, labels=labels or None, encoder=encoder)
    refuse_unmatchable(examples, settings)


@pytest.mark.parametrize(
    "answer",
    [
        "18 apples",
        "1/2",
        "\N{MINUS SIGN}3",
        "12:30",
        "50%",
        "three",
        "1e5",
        "..",
        "They are #### 18 apples",
        "#### 5\n#### 6",  # the strict read takes the first, the answer is the last
    ],
)
def test_an_answer_that_is_no_number_is_refused_naming_its_item_and_another_scorer(
    answer: str,
) -> None:
    shown = re.escape(answer)
    with pytest.raises(InputError, match=rf"item row-2: .* '{shown}' .*`number`.*scorer `word`"):
        refuse("number", "18", answer)


@pytest.mark.parametrize(
    "answer", ["18", "-5", "1,234", "-1,234.5", "$18", "18.", "So 9 + 9.\n#### 18", "#### -1,072"]
)
def test_a_number_is_matched_by_itself(answer: str) -> None:
    refuse("number", answer)


@pytest.mark.parametrize("split", ["train", "test"])
def test_every_answer_of_gsm8k_can_be_matched(real_data: Callable[[str], Path], split: str) -> None:
    lines = (real_data("gsm8k") / f"{split}.jsonl").read_text().splitlines()
    answers = [json.loads(line)["answer"] for line in lines]
    refuse("number", *answers)
    refuse("number", *(answer.split("#### ")[1] for answer in answers))


TEXTS = ("cats", "18 apples", "-5", "C++", "答案", "да", "+", "New York\nUSA", "x" * 500, "\0")


@pytest.mark.parametrize("scorer", ["word", "span", "bleu"])
@pytest.mark.parametrize("answer", TEXTS)
def test_every_text_is_matched_by_itself(scorer: str, answer: str) -> None:
    refuse(scorer, answer)


@pytest.mark.parametrize("answer", ["答案", "да", "+"])
def test_rouge_reads_latin_letters_only(answer: str) -> None:
    with pytest.raises(InputError, match="a to z and digits only; use scorer `bleu` or `span`"):
        refuse("rouge", answer)
    refuse("rouge", answer, references=(answer, "yes"))  # one of the references is enough


def test_every_reference_of_coverage_needs_a_word() -> None:
    refuse("coverage", "They ski.", references=("ski", "in the hills", "C++"))
    with pytest.raises(InputError, match="looks for words, and a reference has none"):
        refuse("coverage", "They ski.", references=("ski", "!"))


@pytest.mark.parametrize(
    "labels",
    [
        ("A", "B"),
        ("(A)", "(B)"),
        ("(A)", "A"),
        ("C#", "C++", "C"),
        ("-5", "5"),
        ("yes", "not yes"),
        ("+", "-"),
    ],
)
def test_a_label_names_itself(labels: tuple[str, ...]) -> None:
    refuse("choice", *labels, labels=labels)


@pytest.mark.parametrize("scorer", SCORERS)
def test_every_scorer_can_be_asked(scorer: str) -> None:
    refuse(scorer, "18", references=("18",), labels=("18", "20"))


def test_unlabelled_examples_are_skipped() -> None:
    settings = ScoringSlice(scorer="number", labels=None)
    refuse_unmatchable([Example("row-1", "?", None)], settings)
    with pytest.raises(InputError, match="item row-2"):
        refuse_unmatchable([Example("row-1", "?", None), Example("row-2", "?", "x")], settings)
