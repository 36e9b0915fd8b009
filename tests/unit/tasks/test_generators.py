from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import reasoning_gym

from workflow_scripts.config.data import DataSettings
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.tasks.examples import Example
from workflow_scripts.tasks.generators import REFUSED, environment, generated_rows
from workflow_scripts.tasks.sources import read_source
from workflow_scripts.tasks.splits import draw_splits

ITEMS = {"demonstrations": 2, "train": 8, "validation": 3, "test": 5}


Splits = Mapping[str, Sequence[Example]]


def drawn(name: str, **settings: Any) -> Splits:
    data = DataSettings(source=f"reasoning_gym:{name}", **{"items": ITEMS} | settings)
    return draw_splits(read_source(data).splits, data)


def questions(splits: Splits) -> set[str]:
    return {example.question for examples in splits.values() for example in examples}


# --- the same again -----------------------------------------------------------------------

# those that follow the string hash, in their questions or in their answers, or the global state
UNSTEADY = (
    "isomorphic_strings",
    "list_functions",
    "polynomial_multiplication",
    "ransom_note",
    "word_ladder",
)
# every data set that a study may name, a few items of each, in a process of their own
DRAW_ALL = """
import json, random, sys
from workflow_scripts.tasks.generators import REFUSED, draw_rows
import reasoning_gym
path, run, *unsteady = sys.argv[1:]
random.seed(run)
drawn = {
    name: list(draw_rows(name, {"test": 20 if name in unsteady else 2, "train": 1}, 0, False))
    for name in sorted(reasoning_gym.factory.DATASETS)
    if name not in REFUSED
}
with open(path, "w") as file:
    json.dump(drawn, file, default=str, skipkeys=True)
"""


def test_every_data_set_gives_the_same_items_whatever_the_string_hash_of_the_process_that_asks(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes = []
    for run in ("1", "2"):
        monkeypatch.setenv("PYTHONHASHSEED", run)
        command = [sys.executable, "-c", DRAW_ALL, str(tmp_path / run), run, *UNSTEADY]
        processes.append(subprocess.Popen(command, env=environment()))
    assert [process.wait() for process in processes] == [0, 0]
    first, second = (json.loads((tmp_path / run).read_text()) for run in ("1", "2"))
    assert set(first) | set(REFUSED) == set(reasoning_gym.factory.DATASETS)
    assert [name for name in first if first[name] != second[name]] == []
    assert [name for name in first if len(first[name]) < 3] == []
    assert [len(first[name]) for name in UNSTEADY] == [21] * len(UNSTEADY)


@pytest.mark.parametrize("name", REFUSED)
def test_a_data_set_that_cannot_be_a_task_is_refused_by_name(name: str) -> None:
    with pytest.raises(InputError, match=f"reasoning_gym:{name}: {REFUSED[name]}"):
        drawn(name)


def test_a_data_set_without_answers_is_refused_naming_what_it_has() -> None:
    with pytest.raises(InputError, match=r"test-1 has no 'answer' \(it has: question, metadata\."):
        drawn("graph_color")


def test_an_unknown_generator_is_refused_naming_the_nearest() -> None:
    with pytest.raises(InputError, match="no such data set; nearest: letter_counting"):
        drawn("leter_counting")


def test_a_data_set_that_fails_is_refused_in_one_line() -> None:
    with pytest.raises(InputError, match=r"reasoning_gym:composite: its items cannot be drawn \("):
        list(generated_rows("composite", {"test": 1}, 0, spare=False))


# --- splits -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def few() -> Splits:
    return drawn("letter_counting", seed=0)


def test_a_generator_makes_as_many_different_questions_as_are_asked_for(few: Splits) -> None:
    assert {name: len(examples) for name, examples in few.items()} == ITEMS
    assert len(questions(few)) == sum(ITEMS.values())


def test_more_training_items_leave_the_other_splits_as_they_were(few: Splits) -> None:
    more = drawn("letter_counting", items=ITEMS | {"train": 16})
    assert set(few["train"]) < set(more["train"])
    assert few | {"train": None} == more | {"train": None}


@pytest.mark.parametrize("split", ["test", "validation", "demonstrations"])
def test_more_items_of_another_split_leave_the_training_items_as_they_were(
    split: str, few: Splits
) -> None:
    more = drawn("letter_counting", items=ITEMS | {split: 16})
    assert few["train"] == more["train"]


def test_seeds_share_no_question(few: Splits) -> None:
    again, next_one = (drawn("letter_counting", seed=seed) for seed in (0, 1))
    assert few == again
    assert not questions(few) & questions(next_one)


def test_splits_of_a_small_data_set_share_no_question() -> None:
    splits = drawn("coin_flip", items=ITEMS | {"train": 99})
    assert len(questions(splits)) == sum(map(len, splits.values()))


def test_a_generator_makes_more_where_some_may_be_left_out() -> None:
    counts = {"test": 5, "train": 8}
    few, more = (
        list(generated_rows("letter_counting", counts, 0, spare=spare)) for spare in (False, True)
    )
    assert len(few) == 13 < len(more)
    assert more[:5] == few[:5]


def test_a_data_set_that_mostly_repeats_itself_is_given_up() -> None:
    # of the numbers from 2 to 1000
    with pytest.raises(InputError, match=r"'train' has \d+ different .* asks for 2000"):
        drawn("prime_factorization", items=ITEMS | {"train": 2000})
