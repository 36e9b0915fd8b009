from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from workflow_scripts.config.slices import ContextSettings
from workflow_scripts.prompts.formats import Demonstration
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.tasks.examples import (
    Example,
    draw_demonstrations,
    read_examples,
    write_examples,
)

POOL = [Example(f"row-{n}", f"question {n}", f"answer {n}") for n in range(12)]


def context(
    shots: int, answers: str = "correct", seed: int = 0, balanced: bool = False
) -> ContextSettings:
    return ContextSettings(shots=shots, answers=answers, seed=seed, balanced=balanced)


def kept(pool: list[Example], drawn: list[Demonstration]) -> int:
    """Demonstrations that show their own answer."""
    own = {example.question: example.answer for example in pool}
    return sum(shown.answer == own[shown.question] for shown in drawn)


def test_examples_survive_their_file(tmp_path: Path) -> None:
    examples = [
        Example("row-1", "naïve\nquestion", "007"),
        Example("2", "2020-01-01", "ja", ("ja", "doch")),
    ]
    write_examples(tmp_path / "test.parquet", examples)
    assert read_examples(tmp_path / "test.parquet") == examples


def test_an_empty_split_survives_its_file(tmp_path: Path) -> None:
    write_examples(tmp_path / "demonstrations.parquet", [])
    assert read_examples(tmp_path / "demonstrations.parquet") == []


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"test\.parquet: no such file"):
        read_examples(tmp_path / "test.parquet")


def test_a_file_of_other_columns_is_refused(tmp_path: Path) -> None:
    pd.DataFrame({"question": ["cat"]}).to_parquet(tmp_path / "test.parquet")
    with pytest.raises(InputError, match=r"test\.parquet: not examples"):
        read_examples(tmp_path / "test.parquet")


def test_demonstrations_show_their_own_answers() -> None:
    assert kept(POOL, draw_demonstrations(POOL, context(8))) == 8


def test_fewer_shots_are_the_first_of_more() -> None:
    assert draw_demonstrations(POOL, context(4)) == draw_demonstrations(POOL, context(8))[:4]


def test_another_seed_draws_others() -> None:
    first, second = (draw_demonstrations(POOL, context(8, seed=seed)) for seed in (0, 1))
    assert first != second


def test_shuffled_answers_belong_to_the_same_questions() -> None:
    plain, shuffled = (draw_demonstrations(POOL, context(8, a)) for a in ("correct", "shuffled"))
    assert [d.question for d in shuffled] == [d.question for d in plain]
    assert {d.answer for d in shuffled} == {d.answer for d in plain}


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("shots", [2, 3, 8, 12])
def test_no_demonstration_keeps_its_answer_when_shuffled(shots: int, seed: int) -> None:
    assert kept(POOL, draw_demonstrations(POOL, context(shots, "shuffled", seed))) == 0


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(
    ("answers", "unavoidable"), [("aabb", 0), ("aaabbc", 0), ("abbccc", 0), ("aaab", 2), ("aa", 2)]
)
def test_equal_answers_change_places_as_far_as_they_allow(
    answers: str, unavoidable: int, seed: int
) -> None:
    pool = [Example(str(n), str(n), answer) for n, answer in enumerate(answers)]
    drawn = draw_demonstrations(pool, context(len(pool), "shuffled", seed))
    assert kept(pool, drawn) == unavoidable


def test_shuffling_depends_on_the_seed() -> None:
    drawn = [draw_demonstrations(POOL[:4], context(4, "shuffled", seed)) for seed in range(8)]
    pairings = {frozenset((d.question, d.answer) for d in shown) for shown in drawn}
    assert len(pairings) > 1


def test_demonstrations_without_answers_show_none() -> None:
    assert {d.answer for d in draw_demonstrations(POOL, context(8, "none"))} == {None}


def test_no_shots_show_nothing() -> None:
    assert draw_demonstrations(POOL, context(0, "shuffled")) == []


def test_more_shots_than_the_pool_holds_are_refused() -> None:
    with pytest.raises(InputError, match="13 shots, but the pool has 12 demonstrations"):
        draw_demonstrations(POOL, context(13))


LABELLED = [Example(str(n), str(n), "Yes" if n < 9 else "No") for n in range(12)]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("shots", "yes", "no"), [(0, 0, 0), (2, 1, 1), (6, 3, 3), (8, 5, 3), (12, 9, 3)]
)
def test_balanced_demonstrations_show_each_label_as_often_as_its_number_allows(
    shots: int, yes: int, no: int, seed: int
) -> None:
    shown = draw_demonstrations(LABELLED, context(shots, seed=seed, balanced=True))
    answers = [demonstration.answer for demonstration in shown]
    assert (answers.count("Yes"), answers.count("No")) == (yes, no)


def test_an_odd_balanced_demonstration_is_of_either_label() -> None:
    shown = [draw_demonstrations(LABELLED, context(1, seed=s, balanced=True)) for s in range(20)]
    assert {demonstration.answer for (demonstration,) in shown} == {"Yes", "No"}


def test_fewer_balanced_shots_are_the_first_of_more() -> None:
    few, more = (draw_demonstrations(LABELLED, context(n, balanced=True)) for n in (4, 9))
    assert few == more[:4]


@pytest.mark.parametrize("seed", range(5))
def test_shuffled_answers_of_balanced_demonstrations_are_all_wrong(seed: int) -> None:
    shown = draw_demonstrations(LABELLED, context(6, "shuffled", seed, balanced=True))
    assert kept(LABELLED, shown) == 0
