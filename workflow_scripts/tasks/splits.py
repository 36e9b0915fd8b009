"""The four splits of a task, drawn from the splits of its source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from workflow_scripts.errors import InputError
from workflow_scripts.settings import SPLITS, DataSettings
from workflow_scripts.tasks.examples import Example
from workflow_scripts.tasks.sources import ONLY_SPLIT

# What is drawn from the same source split comes in this order: train last, so that a larger
# training set leaves the others as they were.
_DRAW_ORDER = ("test", "validation", "demonstrations", "train")


def draw_splits(
    source: Mapping[str, Sequence[Example]], data: DataSettings
) -> dict[str, list[Example]]:
    """The examples of each of our splits, as many as `data.items` asks for.

    Each source split is shuffled once with `data.seed`; ours that are drawn from the same one
    are consecutive runs of it, hence disjoint.

    Raises InputError when a source split does not exist or is too small, and when two splits
    share an item or a question.
    """
    origin = {ours: _origin(source, ours, data) for ours in SPLITS}
    drawn: dict[str, list[Example]] = {}
    for name in dict.fromkeys(origin.values()):
        counts = {ours: getattr(data.items, ours) for ours in _DRAW_ORDER if origin[ours] == name}
        _refuse_too_few(data.source, name, len(source[name]), counts)
        order = iter(np.random.default_rng(data.seed).permutation(len(source[name])))
        for ours, count in counts.items():
            drawn[ours] = [source[name][next(order)] for _ in range(count)]
    _refuse_repeats(data.source, drawn)
    return {ours: drawn[ours] for ours in SPLITS}


def _origin(source: Mapping[str, Sequence[Example]], ours: str, data: DataSettings) -> str:
    """The source split that one of ours is drawn from.

    A name that nobody chose (the default is our own) may be missing: then ours is carved from
    the only split, or from `all`.
    """
    name: str = getattr(data.splits, ours)
    if name in source:
        return name
    if name == ours and (ONLY_SPLIT in source or len(source) == 1):
        return ONLY_SPLIT if ONLY_SPLIT in source else next(iter(source))
    raise InputError(
        f"{data.source}: has no split '{name}'; give `data.splits.{ours}` one of: "
        f"{', '.join(source)}"
    )


def _refuse_too_few(source: str, split: str, available: int, counts: Mapping[str, int]) -> None:
    asked = sum(counts.values())
    if asked > available:
        wanted = ", ".join(f"{ours} {count}" for ours, count in counts.items())
        raise InputError(
            f"{source}: split '{split}' has {available} different items, but `data.items` asks "
            f"for {asked} ({wanted})"
        )


def _refuse_repeats(source: str, drawn: Mapping[str, Sequence[Example]]) -> None:
    """Two splits must share nothing, and an item's name must be its own."""
    items: dict[str, str] = {}
    questions: dict[str, tuple[str, str]] = {}
    for split, examples in drawn.items():
        for example in examples:
            if example.item in items:
                raise InputError(
                    f"{source}: item {example.item} occurs twice (in {items[example.item]} and "
                    f"{split}); make the `id` column unique or leave it out"
                )
            items[example.item] = split
            other_item, other_split = questions.setdefault(example.question, (example.item, split))
            if other_split != split:
                raise InputError(
                    f"{source}: items {other_item} ({other_split}) and {example.item} ({split}) "
                    f"ask the same question; remove one of them from the source"
                )
