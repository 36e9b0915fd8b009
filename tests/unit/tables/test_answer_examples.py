"""A few generated answers beside gold."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.tables.test_answers import GOLD, TEXTS, WORDS, answer, entry
from workflow_scripts.results.index import read_table
from workflow_scripts.tables import answer_examples as program
from workflow_scripts.tables.answer_examples import SHOWN, example_table
from workflow_scripts.tasks.examples import Example, write_examples


@pytest.fixture
def greedy(tmp_path: Path):
    answers = [answer(n, text) for n, text in enumerate(TEXTS)]
    return entry(tmp_path / "greedy", answers, ["q0", "q2"])


def test_answers_stand_beside_gold_with_what_became_of_them(greedy):
    table = example_table([greedy], GOLD, WORDS)
    assert table["answer"].tolist() == ["yes", "no", "yes", "", "yes and"]
    assert table["gold"].tolist() == ["yes"] * 5
    assert table["strict"].tolist()[:3] == [1, 0, 1]
    assert table["kept"].tolist() == [True, False, True, False, False]
    assert table["unusable"].tolist()[3:] == ["empty", "cut"]
    assert table["unusable"].isna().sum() == 3


def test_only_the_first_sample_of_the_first_items_is_shown(tmp_path: Path):
    gold = [Example(f"q{n}", f"question {n}", "yes") for n in range(SHOWN + 3)]
    answers = [answer(n, text, s) for n in range(len(gold)) for s, text in ((1, "no"), (2, "yes"))]
    table = example_table([entry(tmp_path / "sampled", answers, ["q0#1"])], gold, WORDS)
    assert table["item"].tolist() == [f"q{n}" for n in range(SHOWN)]
    assert set(table["answer"]) == {"no"}
    assert table["kept"].tolist() == [True] + [False] * (SHOWN - 1)


def test_unlabelled_items_have_neither_gold_nor_a_score(greedy):
    unlabelled = [Example(example.item, example.question, None) for example in GOLD]
    table = example_table([greedy], unlabelled, WORDS)
    assert table[["gold", "strict"]].isna().all(axis=None)


def test_texts_of_several_lines_and_digits_survive_the_file(tmp_path: Path):
    gold = [Example("q0", "How many?\nSay.", "007")]
    own = entry(tmp_path / "own", [answer(0, "yes")], ["q0"])
    write_examples(tmp_path / "train.parquet", gold)
    program.main(WORDS, [own], tmp_path / "train.parquet", tmp_path / "answer_examples.csv")
    (row,) = read_table(tmp_path / "answer_examples.csv").to_dict("records")
    assert [row[name] for name in ("item", "question", "gold")] == ["q0", "How many?\nSay.", "007"]
    assert row["kept"]
