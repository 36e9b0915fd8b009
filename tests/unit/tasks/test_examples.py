from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.outputs import save
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
    shots: int, answers: str = "correct", seed: int = 0, balanced: bool = False, **more: Any
) -> ContextSettings:
    return ContextSettings(shots=shots, answers=answers, seed=seed, balanced=balanced, **more)


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


def test_unlabelled_examples_and_further_columns_survive_their_file(tmp_path: Path) -> None:
    examples = [
        Example("row-1", "Who?", None, columns={"document": "Tim\nsings.", "hint": "7"}),
        Example(
            "row-2", "What?", "song", ("song", "tune"), {"document": "Tim\nsings.", "hint": ""}
        ),
        Example("row-3", "Where?", ""),
    ]
    write_examples(tmp_path / "test.parquet", examples)
    assert read_examples(tmp_path / "test.parquet") == examples


def test_a_file_of_unlabelled_examples_survives(tmp_path: Path) -> None:
    examples = [Example("row-1", "Who?", None)]
    write_examples(tmp_path / "test.parquet", examples)
    assert read_examples(tmp_path / "test.parquet") == examples


def test_the_answer_of_an_unlabelled_example_is_refused_naming_it() -> None:
    with pytest.raises(InputError, match="item row-1 has no answer"):
        _ = Example("row-1", "Who?", None).required_answer


def test_an_empty_split_survives_its_file(tmp_path: Path) -> None:
    write_examples(tmp_path / "demonstrations.parquet", [])
    assert read_examples(tmp_path / "demonstrations.parquet") == []


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"test\.parquet: no such file"):
        read_examples(tmp_path / "test.parquet")


def test_a_file_of_other_columns_is_refused(tmp_path: Path) -> None:
    save(pd.DataFrame({"question": ["cat"]}), tmp_path / "test.parquet")
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


@pytest.mark.parametrize("answers", ["correct", "none"])
def test_draws_are_consecutive_parts_of_one_order(answers: str) -> None:
    whole = draw_demonstrations(POOL, context(12, answers))
    parts = [draw_demonstrations(POOL, context(4, answers, skip=skip)) for skip in (0, 4, 8)]
    assert [shown for part in parts for shown in part] == whole


def test_shuffled_answers_stay_within_their_draw() -> None:
    for skip in (0, 4, 8):
        plain, shuffled = (
            draw_demonstrations(POOL, context(4, a, skip=skip)) for a in ("correct", "shuffled")
        )
        assert {d.answer for d in plain} == {d.answer for d in shuffled}
        assert kept(POOL, shuffled) == 0


@pytest.mark.parametrize("seed", range(5))
def test_balanced_draws_are_disjoint_and_each_balanced(seed: int) -> None:
    pool = [Example(str(n), str(n), "Yes" if n % 2 else "No") for n in range(12)]
    draws = [
        draw_demonstrations(pool, context(4, seed=seed, balanced=True, skip=skip))
        for skip in (0, 4, 8)
    ]
    assert {d.question for draw in draws for d in draw} == {e.question for e in pool}
    assert [sorted(d.answer or "" for d in draw) for draw in draws] == [
        ["No"] * 2 + ["Yes"] * 2
    ] * 3


def test_a_draw_beyond_the_pool_is_refused() -> None:
    with pytest.raises(
        InputError, match="8 shots after the 8 of other draws, but the pool has 12 demonstrations"
    ):
        draw_demonstrations(POOL, context(8, skip=8))


def test_demonstrations_show_their_own_item_column() -> None:
    pool = [Example(str(n), f"{n}?", str(n), columns={"hint": f"It is {n}."}) for n in range(4)]
    shown = draw_demonstrations(pool, context(4, item="hint"))
    assert {(d.question, d.before) for d in shown} == {(f"{n}?", f"It is {n}.") for n in range(4)}
    assert {d.before for d in draw_demonstrations(pool, context(4))} == {None}


def test_an_item_column_that_the_pool_lacks_is_refused() -> None:
    with pytest.raises(InputError, match=r"has no column 'hint'; list it under .*`data\.columns`"):
        draw_demonstrations(POOL, context(1, item="hint"))


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
