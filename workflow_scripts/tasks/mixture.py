"""Mixtures: tasks whose splits take items of other tasks, by weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from workflow_scripts.config.data import ItemCounts
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.tasks.examples import Example
from workflow_scripts.tasks.shares import SPLITS, allot


def mix(
    components: Mapping[str, Mapping[str, Sequence[Example]]],
    items: ItemCounts,
    weights: Mapping[str, float],
    seed: int,
) -> dict[str, list[Example]]:
    """The examples of each split: the first of each component's split, shuffled together.

    components: task → split → examples. weights: by task. Items are named `<task>/<item>`.
    Raises InputError if a component has fewer items than the mixture takes.
    """
    mixed = {}
    for number, split in enumerate(SPLITS):
        taken = [
            replace(example, item=f"{task}/{example.item}")
            for task, count in allot(getattr(items, split), weights).items()
            for example in _first(components[task][split], count, task, split)
        ]
        order = np.random.default_rng([seed, number]).permutation(len(taken))
        mixed[split] = [taken[index] for index in order]
    return mixed


def _first(examples: Sequence[Example], count: int, task: str, split: str) -> Sequence[Example]:
    if len(examples) < count:
        raise InputError(
            f"{task}: split '{split}' has {len(examples)} items, but the mixture takes {count}; "
            f"raise `tasks.{task}.data.items.{split}`, or lower the items of the mixture or the "
            "weight of the task"
        )
    return examples[:count]
