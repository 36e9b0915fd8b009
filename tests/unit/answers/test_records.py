from __future__ import annotations

import math
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tests.outputs import save
from workflow_scripts.answers.records import Answer, read_answers, table_of, told, write_answers
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.tasks.examples import Example

QUESTION = Example("x", "cat", None, columns={"hint": "one more s"})
WHOLE = Answer(QUESTION, 1, "cats", True, 2, logprob=-1.5, agreement=1.0)
EMPTY = Answer(QUESTION, 2, "", True, 0)
CUT = Answer(QUESTION, 3, "cats and", False, 3)
MARKUP = Answer(QUESTION, 4, "</think>", True, 0)


def test_answers_survive_their_file_with_the_other_columns_of_their_item(tmp_path: Path):
    write_answers(tmp_path / "answers.parquet", [WHOLE, CUT])
    whole, cut = read_answers(tmp_path / "answers.parquet")
    assert asdict(whole) == asdict(WHOLE)
    assert (cut.text, cut.finished, cut.tokens) == ("cats and", False, 3)
    assert math.isnan(cut.logprob)
    assert math.isnan(cut.agreement)


def test_an_answer_becomes_an_example_with_the_further_columns_of_its_item():
    hint = {"hint": "one more s"}
    assert WHOLE.example(several=False) == Example("x", "cat", "cats", columns=hint)
    assert CUT.example(several=True).item == "x#3"


def test_gold_references_reach_neither_the_file_nor_an_example(tmp_path: Path):
    known = replace(WHOLE, question=replace(QUESTION, references=("cats", "kittens")))
    for name, answer in (("known", known), ("unknown", WHOLE)):
        write_answers(tmp_path / name, [answer])
    assert (tmp_path / "known").read_bytes() == (tmp_path / "unknown").read_bytes()
    assert known.example(several=False).references == ()


@pytest.mark.parametrize("reading", [read_answers, lambda path: read_answers(path / "missing")])
def test_a_file_that_holds_no_answers_is_refused(reading, tmp_path: Path):
    save("cats", tmp_path / "answers")
    with pytest.raises(InputError, match=r"answers.*: (not answers|no such file)"):
        reading(tmp_path / "answers")


def test_answers_without_text_or_end_and_those_that_no_conversation_shows_are_unusable():
    assert [a.unusable for a in (WHOLE, EMPTY, CUT, MARKUP)] == [None, "empty", "cut", "markup"]


def test_the_unusable_ones_are_told():
    assert told([WHOLE, EMPTY, CUT, CUT]) == "1 of 4 empty, 2 cut by max_new_tokens"
    assert told([WHOLE, MARKUP]) == (
        "0 of 2 empty, 0 cut by max_new_tokens, 1 with markup of the chat template"
    )


def test_the_table_has_the_mean_log_probability_of_a_token():
    table = table_of([WHOLE, CUT])
    assert table["mean_logprob"].tolist()[0] == -0.75
    assert table["example"].tolist() == ["x#1", "x#3"]
    assert table["unusable"].isna().tolist() == [True, False]
