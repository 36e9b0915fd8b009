"""The embedded tasks are what their generators write, and fit what their README says."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest

from resources.tasks.future import make as future
from resources.tasks.village import make as village


def rows_of(task: ModuleType) -> list[dict[str, Any]]:
    return [json.loads(line) for line in task.FILE.read_text().splitlines()]


@pytest.mark.parametrize("task", [future, village])
def test_the_file_is_what_its_generator_writes(task: ModuleType) -> None:
    assert rows_of(task) == task.rows()


@pytest.mark.parametrize("task", [future, village])
def test_no_question_appears_twice(task: ModuleType) -> None:
    questions = [row["question"] for row in rows_of(task)]
    assert len(set(questions)) == len(questions)


def test_a_sentence_in_the_future_tense_has_will_and_the_infinitive() -> None:
    for row in rows_of(future):
        name, verb, *rest = row["question"].split()
        stem = future.VERBS[verb][0]
        assert row["answer"].split() == [name, "will", stem, *rest]


def test_every_question_asks_about_one_fact_of_the_one_document() -> None:
    rows = rows_of(village)
    (document,) = {row["document"] for row in rows}
    sentences = document.splitlines()
    assert {row["answer"] for row in rows} == set(sentences)
    for row in rows:
        assert row["answer"].split()[0] in row["question"].strip("?.").split()
        assert sentences.count(row["answer"]) == 1


@pytest.mark.parametrize(
    ("verb", "infinitive"),
    [("bakes", "bake"), ("catches", "catch"), ("studies", "study"), ("presses", "press")],
)
def test_the_infinitive_of_a_verb(verb: str, infinitive: str) -> None:
    assert village.infinitive(verb) == infinitive
