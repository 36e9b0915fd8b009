"""Mixtures: which items of each task, in what order."""

from __future__ import annotations

import pytest

from workflow_scripts.config.data import ItemCounts
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.tasks.examples import Example
from workflow_scripts.tasks.mixture import mix
from workflow_scripts.tasks.shares import SPLITS

ITEMS = ItemCounts(demonstrations=0, train=10, validation=2, test=4)
WEIGHTS = {"squad": 2.0, "xsum": 1.0, "paws": 1.0}


def part(task: str, items: int = 20) -> dict[str, list[Example]]:
    return {
        split: [Example(f"{split}-{n}", f"{task} {split} {n}?", "yes") for n in range(items)]
        for split in SPLITS
    }


PARTS = {task: part(task) for task in WEIGHTS}


def test_each_split_takes_the_first_items_of_each_part_of_the_same_split() -> None:
    mixed = mix(PARTS, ITEMS, WEIGHTS, seed=0)
    assert {example.item for example in mixed["test"]} == {
        "squad/test-0",
        "squad/test-1",
        "xsum/test-0",
        "paws/test-0",
    }
    assert {split: len(examples) for split, examples in mixed.items()} == ITEMS.model_dump()


def test_parts_are_shuffled_together_by_the_seed() -> None:
    first, again, other = (mix(PARTS, ITEMS, WEIGHTS, seed)["train"] for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert set(first) == set(other)
    tasks = [example.item.partition("/")[0] for example in first]
    assert tasks != sorted(tasks, key=list(WEIGHTS).index)


def test_all_but_the_name_of_an_item_is_as_it_was() -> None:
    example = Example("row-1", "Where?", "in Rome", ("in Rome", "Rome"))
    parts = {task: {split: [example] for split in SPLITS} for task in ("a", "b")}
    items = ItemCounts(demonstrations=0, train=0, validation=1, test=1)
    (mixed,) = mix(parts, items, {"a": 1.0, "b": 1.0}, seed=0)["test"]
    assert mixed == Example("a/row-1", "Where?", "in Rome", ("in Rome", "Rome"))


def test_a_part_with_too_few_items_is_refused_naming_task_and_split() -> None:
    parts = PARTS | {"xsum": part("xsum") | {"train": part("xsum")["train"][:2]}}
    with pytest.raises(InputError) as refusal:
        mix(parts, ITEMS, WEIGHTS, seed=0)
    assert str(refusal.value) == (
        "xsum: split 'train' has 2 items, but the mixture takes 3; raise "
        "`tasks.xsum.data.items.train`, or lower the items of the mixture or the weight of the task"
    )
