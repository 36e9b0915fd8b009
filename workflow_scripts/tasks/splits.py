"""The four splits of a task, drawn from the splits of its source."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from workflow_scripts.config.data import DataSettings
from workflow_scripts.prompts.label_tokens import labels_of
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import sha256_of
from workflow_scripts.tasks.examples import Example, in_rounds, write_examples
from workflow_scripts.tasks.shares import SPLITS
from workflow_scripts.tasks.sources import DRAW_ORDER, ONLY_SPLIT

# what `data.balanced` is about; the others stay as representative as the source
_BALANCED = ("demonstrations", "train")


def draw_splits(
    source: Mapping[str, Sequence[Example]],
    data: DataSettings,
    overflowing: Collection[str] = frozenset(),
) -> dict[str, list[Example]]:
    """The examples of each of our splits, as many as `data.items` asks for.

    Each source split is shuffled once with `data.seed`, and ours are the first of it that no
    other of ours has. A question that another of ours holds already is passed over: some
    benchmarks repeat questions. Balanced splits take their items in the order of `in_rounds`.

    overflowing: items that are passed over. The demonstrations stay those that are drawn without
    them, because their lengths decide what overflows.
    Raises InputError when a source split does not exist or is too small, or has too few items of
    a label for a balanced draw, and when two items have one name.
    """
    origin = origins(source, data)
    shuffled = {name: _shuffled(source[name], data.seed) for name in set(origin.values())}
    drawn = _draw(shuffled, origin, data)
    if overflowing:
        drawn |= _draw_others(shuffled, origin, data, drawn["demonstrations"], overflowing)
    _refuse_repeated_names(data.source, drawn)
    return drawn


def origins(source: Collection[str], data: DataSettings) -> dict[str, str]:
    """The source split that each of ours is drawn from, of those that have items.

    source: names of its splits.
    Raises InputError when it lacks one that the settings name.
    """
    return {ours: _origin(source, ours, data) for ours in SPLITS if getattr(data.items, ours)}


def write_splits(folder: Path, splits: Mapping[str, Sequence[Example]]) -> dict[str, Any]:
    """Writes `<split>.parquet` for each split; returns what a manifest vouches for of them."""
    files = {split: folder / f"{split}.parquet" for split in splits}
    for split, examples in splits.items():
        write_examples(files[split], examples)
    return {
        "counts": {split: len(examples) for split, examples in splits.items()},
        "sha256": {file.name: sha256_of(file) for file in files.values()},
    }


def _draw(
    shuffled: Mapping[str, Sequence[Example]], origin: Mapping[str, str], data: DataSettings
) -> dict[str, list[Example]]:
    drawn: dict[str, list[Example]] = {ours: [] for ours in SPLITS}
    holder: dict[str, str] = {}
    for ours in sorted(origin, key=DRAW_ORDER.index):
        name, count = origin[ours], getattr(data.items, ours)
        fresh = [e for e in shuffled[name] if holder.get(e.question, ours) == ours]
        balanced = data.balanced and ours in _BALANCED
        generator = np.random.default_rng([data.seed, SPLITS.index(ours)])
        drawn[ours] = list(islice(in_rounds(fresh, generator) if balanced else fresh, count))
        if len(drawn[ours]) < count:
            sharing = [other for other in origin if origin[other] == name]
            _refuse_too_few(data, name, {other: drawn[other] for other in sharing})
        if balanced:
            _refuse_unbalanced(data, name, ours, drawn[ours])
        holder |= {example.question: ours for example in drawn[ours]}
    return drawn


def _draw_others(
    shuffled: Mapping[str, Sequence[Example]],
    origin: Mapping[str, str],
    data: DataSettings,
    pool: Sequence[Example],
    overflowing: Collection[str],
) -> dict[str, list[Example]]:
    """What is not in the pool of demonstrations, from items that do not overflow."""
    shown = {example.question for example in pool}
    fitting = {
        name: [e for e in examples if e.item not in overflowing and e.question not in shown]
        for name, examples in shuffled.items()
    }
    asked = {ours: name for ours, name in origin.items() if ours != "demonstrations"}
    try:
        drawn = _draw(fitting, asked, data)
    except InputError as error:
        raise InputError(
            f"{error}; {len(overflowing)} items do not fit a model's context: use fewer shots"
        ) from None
    return {ours: drawn[ours] for ours in asked}


def _shuffled(examples: Sequence[Example], seed: int) -> list[Example]:
    return [examples[index] for index in np.random.default_rng(seed).permutation(len(examples))]


def _origin(source: Collection[str], ours: str, data: DataSettings) -> str:
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


def _refuse_too_few(
    data: DataSettings, split: str, drawn: Mapping[str, Sequence[Example]]
) -> NoReturn:
    """drawn: until none was left, by those of our splits that come from this one."""
    counts = {ours: getattr(data.items, ours) for ours in drawn}
    wanted = ", ".join(f"{ours} {count}" for ours, count in counts.items())
    there = sum(map(len, drawn.values()))
    hint = "" if there else "; rows of other labels, and of the hub rows without text, are left out"
    raise InputError(
        f"{data.source}: split '{split}' has {there} different items, but `data.items` asks for "
        f"{sum(counts.values())} ({wanted}){hint}"
    )


def _refuse_unbalanced(data: DataSettings, split: str, ours: str, drawn: Sequence[Example]) -> None:
    """Of a label whose items are used up there are fewer than of the others."""
    labels = labels_of(data) or ()
    counts = Counter(example.answer for example in drawn)
    rarest = min(labels, key=lambda label: counts[label])
    if max(counts.values()) > counts[rarest] + 1:
        raise InputError(
            f"{data.source}: split '{split}' has {counts[rarest]} items of the label '{rarest}' "
            f"left for {ours}, but {len(drawn)} balanced items hold "
            f"{math.ceil(len(drawn) / len(labels))} of each; give `data.items.{ours}` fewer items "
            "or another split"
        )


def _refuse_repeated_names(source: str, drawn: Mapping[str, Sequence[Example]]) -> None:
    splits: dict[str, str] = {}
    for split, examples in drawn.items():
        for example in examples:
            if example.item in splits:
                raise InputError(
                    f"{source}: item {example.item} occurs twice (in {splits[example.item]} and "
                    f"{split}); make the `id` column unique or leave it out"
                )
            splits[example.item] = split
