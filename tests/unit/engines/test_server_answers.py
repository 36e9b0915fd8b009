"""What counts as an answer of a server; with real servers: test_server_faults.py."""

from __future__ import annotations

from typing import Any

import pytest

from workflow_scripts.engines.server_answers import (
    UnusableAnswer,
    check_completion,
    check_models,
    line,
    quoted,
)

TEXT = {"prompt": [1, 2, 3], "max_tokens": 4}
SCORES = TEXT | {"echo": True, "max_tokens": 1}
KEY = "a-secret-key"


def completion(**values: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "text": "a", "finish_reason": "stop"} | values]}


def scored(values: list[Any], **others: Any) -> dict[str, Any]:
    return completion(logprobs={"token_logprobs": values}, **others)


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (TEXT, completion()),
        (TEXT, completion(text="", finish_reason="length")),
        (TEXT, completion(text=None, token_ids=[5, 9])),
        (TEXT, completion(token_ids=[])),
        (SCORES, scored([None, -1, -0.5])),
        (SCORES, scored([None, -1, -0.5, -2.0])),
        (SCORES, scored([None, -1, 1e-7], prompt_token_ids=[1, 2, 3], finish_reason=None)),
    ],
)
def test_an_answer_to_what_was_asked_is_taken(asked, answer):
    check_completion(asked, answer, vocabulary=10)


@pytest.mark.parametrize(
    ("asked", "answer", "fault"),
    [
        (TEXT, None, "an answer without `choices`"),
        (TEXT, {"choices": []}, "an answer without `choices`"),
        (TEXT, {"choices": [{}, {}]}, "2 choices where one was asked for"),
        (TEXT, {"choices": [None]}, "a choice that is no object"),
        (TEXT, completion(index=1), "a choice with the index 1 instead of 0"),
        (TEXT, completion(text=None), "a choice without `text`"),
        (TEXT, completion(text="\ud800"), "a choice without `text`"),
        (TEXT, completion(token_ids=[10]), "`token_ids` that are not all tokens of the model"),
        (TEXT, completion(token_ids=[1] * 5), "5 tokens where 4 at most were asked for"),
        (
            TEXT,
            completion(finish_reason="content_filter"),
            "a choice with `finish_reason` 'content_filter', not 'stop' or 'length'",
        ),
        (SCORES, scored([None, -1]), "2 log-probabilities of 3 tokens"),
        (SCORES, scored([None] + [-1] * 4), "5 log-probabilities of 3 tokens"),
        (SCORES, scored([None, -1, None]), "None as the log-probability of token 2"),
        (SCORES, scored([None, float("nan"), -1]), "nan as the log-probability of token 1"),
        (SCORES, scored([None, -1, 0.5]), "0.5 as the log-probability of token 2"),
        (
            SCORES,
            scored([None, -1, -1], prompt_token_ids=[1, 2, 4]),
            "the scores of another prompt",
        ),
    ],
)
def test_anything_else_is_named(asked, answer, fault):
    with pytest.raises(UnusableAnswer) as told:
        check_completion(asked, answer, vocabulary=10)
    assert str(told.value) == fault


def test_a_server_that_does_not_score_prompts_is_told_apart():
    with pytest.raises(UnusableAnswer, match="perhaps the server does not score prompts"):
        check_completion(SCORES, completion(logprobs=None), vocabulary=10)


@pytest.mark.parametrize("answer", [[], {"data": None}, {"data": [3]}, {"data": [{"id": None}]}])
def test_a_list_of_models_has_names(answer):
    with pytest.raises(UnusableAnswer, match="no list of models"):
        check_models(answer)


def test_what_a_server_said_is_shown_as_one_short_line_without_the_key():
    said = f"no \x1b[31m{KEY}\n".encode() + b"\xff" + b"a" * 10_000
    shown = quoted(said, KEY)
    assert shown.startswith("'no [31m… \N{REPLACEMENT CHARACTER}aaa")
    assert shown.isprintable()
    assert len(shown) < 150
    assert quoted(b" \n", KEY) == "nothing"


def test_a_key_is_not_shown_where_a_line_is_cut():
    assert KEY[:4] not in line("x" * 115 + KEY, KEY)


def test_a_word_in_the_place_of_a_key_changes_no_message():
    assert line("there is none", "none") == "there is none"
