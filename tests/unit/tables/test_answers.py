"""Generated answers as a table."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from workflow_scripts.answers.records import Answer, write_answers
from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.config.slices import ScoringSlice
from workflow_scripts.results.index import read_table
from workflow_scripts.results.statistics import mean_interval, wilson
from workflow_scripts.tables import answers as program
from workflow_scripts.tables.answers import AnswersEntry, answers_table
from workflow_scripts.tasks.examples import Example, write_examples

WORDS = ScoringSlice(scorer="word", labels=None)
GOLD = [Example(f"q{n}", f"question {n}", "yes") for n in range(5)]
TEXTS = ("yes", "no", "yes", "", "yes and")


def entry(folder: Path, answers: list[Answer], kept: list[str], **names: object) -> AnswersEntry:
    folder.mkdir()
    write_answers(folder / "answers.parquet", answers)
    write_examples(folder / "examples.parquet", [Example(item, "?", "yes") for item in kept])
    given = {"model": "m", "task": "t", "kind": "greedy"} | (names or {"teacher": "few-shot"})
    files = {"answers": folder / "answers.parquet", "kept": folder / "examples.parquet"}
    return AnswersEntry(**given, **files)


def answer(n: int, text: str, sample: int = 1) -> Answer:
    usable = text in ("yes", "no")
    return Answer(
        Example(f"q{n}", f"question {n}", None),
        sample,
        text,
        not text.endswith("and"),
        n + 2 if text else 0,
        -2.0 * (n + 2) if usable else math.nan,
        0.5 if usable else math.nan,
    )


@pytest.fixture
def greedy(tmp_path: Path) -> AnswersEntry:
    answers = [answer(n, text) for n, text in enumerate(TEXTS)]
    return entry(tmp_path / "greedy", answers, ["q0", "q2"])


def test_answers_are_counted_and_their_means_are_of_the_usable_ones(greedy):
    (row,) = answers_table([greedy], GOLD, WORDS, 0.95).to_dict("records")
    counts = {name: row[name] for name in ("items", "answers", "empty", "cut", "markup", "kept")}
    assert counts == {"items": 5, "answers": 5, "empty": 1, "cut": 1, "markup": 0, "kept": 2}
    assert (row["tokens"], row["logprob"], row["agreement"]) == (3, -2, 0.5)
    assert row["teacher"] == "few-shot"


def test_usable_and_kept_answers_have_their_accuracy_with_wilsons_interval(greedy):
    (row,) = answers_table([greedy], GOLD, WORDS, 0.95).to_dict("records")
    for prefix, right, items in (("", 2, 3), ("kept_", 2, 2)):
        found = [row[f"{prefix}accuracy_strict{end}"] for end in ("", "_low", "_high")]
        assert found == pytest.approx([right / items, *wilson(right, items, 0.95)])


def test_the_samples_of_an_item_count_as_one_observation(tmp_path: Path):
    said = [("yes", "no"), ("yes", "yes"), ("no", "no")]
    answers = [
        answer(n, text, sample)
        for n, both in enumerate(said)
        for sample, text in enumerate(both, start=1)
    ]
    sampled = entry(tmp_path / "sampled", answers, ["q0#1", "q1#1", "q1#2"])
    (row,) = answers_table([sampled], GOLD, WORDS, 0.95).to_dict("records")
    assert (row["items"], row["answers"], row["kept"]) == (3, 6, 3)
    assert row["accuracy_strict"] == pytest.approx(0.5)
    low = max(0.0, mean_interval([0.5, 1.0, 0.0], 0.95).low)
    assert row["accuracy_strict_low"] == pytest.approx(low)
    assert row["kept_accuracy_strict"] == 1


def test_without_gold_there_is_no_accuracy(greedy):
    unlabelled = [Example(e.item, e.question, None) for e in GOLD]
    table = answers_table([greedy], unlabelled, WORDS, 0.95)
    accuracies = [name for name in table if "accuracy" in name]
    assert len(accuracies) == 12
    assert table[accuracies].isna().all(axis=None)
    assert table["answers"].tolist() == [5]


def test_the_table_is_written_and_read_with_its_names(greedy, tmp_path: Path):
    student = entry(
        tmp_path / "student",
        [answer(0, "yes")],
        ["q0"],
        condition="on-policy",
        draw=1,
        seed=2,
        round=0,
        kind="sampled",
    )
    write_examples(tmp_path / "train.parquet", GOLD)
    program.main(
        AnalysisSettings(),
        WORDS,
        [greedy, student],
        tmp_path / "train.parquet",
        tmp_path / "answers.csv",
    )
    table = read_table(tmp_path / "answers.csv")
    assert table["teacher"].isna().tolist() == [False, True]
    row = table.iloc[1]
    assert (row["condition"], row["kind"]) == ("on-policy", "sampled")
    assert [int(row[name]) for name in ("draw", "seed", "round")] == [1, 2, 0]
    assert table["answers"].sum() == len(TEXTS) + 1


def test_a_study_without_generated_answers_has_an_empty_table():
    assert answers_table([], GOLD, WORDS, 0.95).empty
