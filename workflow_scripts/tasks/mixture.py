"""A task that is made of others: its splits take a component of theirs, by weight."""

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
    """The examples of each split: the first ones of each component's split, shuffled together.

    components: task → split → examples. weights: by task.
    An item is called `<task>/<item>`.
    Raises InputError when a component has fewer items than are taken.
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
            f"raise `tasks.{task}.data.items.{split}`, or give the mixture fewer items or the task "
            "less weight"
        )
    return examples[:count]
