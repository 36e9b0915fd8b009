"""The four splits of a task, drawn from the splits of its source."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

import numpy as np

from workflow_scripts.config.data import DataSettings
from workflow_scripts.prompts.label_tokens import labels_of
from workflow_scripts.runtime.checksums import sha256_of
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.tasks.examples import Example, in_rounds, write_examples
from workflow_scripts.tasks.origins import origins
from workflow_scripts.tasks.shares import SPLITS
from workflow_scripts.tasks.sources import DRAW_ORDER

# splits that `data.balanced` balances; the others stay representative of the source
_BALANCED = ("demonstrations", "train")


def draw_splits(
    source: Mapping[str, Sequence[Example]],
    data: DataSettings,
    overflowing: Collection[str] = frozenset(),
    unanswered: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, list[Example]]:
    """The examples of each of our splits, with the counts of `data.items`.

    Each source split is shuffled once with `data.seed`; each of ours takes the first examples whose
    question no other of ours has (some benchmarks repeat questions). Balanced splits take them in
    the order of `in_rounds`. Answers and references of unlabelled splits are
    removed; which items they take does not change those of the other splits.

    overflowing: items to skip. The demonstrations are drawn before they are known, because their
    lengths decide what overflows.
    unanswered: item → why its answer cannot be read, see `Source`.
    Raises InputError if a source split does not exist or is too small, has too few items of a label
    for a balanced draw, an item of a labelled split has no answer, or two items have the same name.
    """
    origin = origins(source, data)
    shuffled = {name: _shuffled(source[name], data.seed) for name in set(origin.values())}
    drawn = _draw(shuffled, origin, data)
    if overflowing:
        drawn |= _draw_others(shuffled, origin, data, drawn["demonstrations"], overflowing)
    _refuse_repeated_names(data.source, drawn)
    for ours, examples in drawn.items():
        if ours in data.unlabelled:
            drawn[ours] = [replace(e, answer=None, references=()) for e in examples]
        else:
            _refuse_unanswered(data.source, ours, examples, unanswered)
    return drawn


def write_splits(folder: Path, splits: Mapping[str, Sequence[Example]]) -> dict[str, Any]:
    """Writes `<split>.parquet` for each split; returns their counts and checksums.

    `unlabelled` counts the items without an answer.
    """
    files = {split: folder / f"{split}.parquet" for split in splits}
    for split, examples in splits.items():
        write_examples(files[split], examples)
    return {
        "counts": {split: len(examples) for split, examples in splits.items()},
        "unlabelled": {
            split: sum(example.answer is None for example in examples)
            for split, examples in splits.items()
        },
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
    """The splits besides the demonstrations, from items that do not overflow."""
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
            f"{error}; {len(overflowing)} items exceed a model's context window: use fewer shots"
        ) from None
    return {ours: drawn[ours] for ours in asked}


def _shuffled(examples: Sequence[Example], seed: int) -> list[Example]:
    return [examples[index] for index in np.random.default_rng(seed).permutation(len(examples))]


def _refuse_too_few(
    data: DataSettings, split: str, drawn: Mapping[str, Sequence[Example]]
) -> NoReturn:
    """drawn: all that was left, by those of our splits that come from this one."""
    counts = {ours: getattr(data.items, ours) for ours in drawn}
    wanted = ", ".join(f"{ours} {count}" for ours, count in counts.items())
    there = sum(map(len, drawn.values()))
    hint = "" if there else "; rows with other labels and hub rows without text are skipped"
    raise InputError(
        f"{data.source}: split '{split}' has {there} different items, but `data.items` asks for "
        f"{sum(counts.values())} ({wanted}){hint}"
    )


def _refuse_unbalanced(data: DataSettings, split: str, ours: str, drawn: Sequence[Example]) -> None:
    """Refuses a balanced draw in which the items of one label ran out."""
    labels = labels_of(data) or ()
    counts = Counter(example.answer for example in drawn)
    rarest = min(labels, key=lambda label: counts[label])
    if max(counts.values()) > counts[rarest] + 1:
        raise InputError(
            f"{data.source}: split '{split}' has {counts[rarest]} items of the label '{rarest}' "
            f"left for {ours}, but {len(drawn)} balanced items need "
            f"{math.ceil(len(drawn) / len(labels))} of each; lower `data.items.{ours}` or use "
            "another split"
        )


def _refuse_unanswered(
    source: str, ours: str, examples: Sequence[Example], unanswered: Mapping[str, str]
) -> None:
    missing = next((example for example in examples if example.answer is None), None)
    if missing is not None:
        reason = unanswered.get(missing.item, f"{source}: item {missing.item} has no answer")
        raise InputError(
            f"{reason}; it is drawn for {ours}, whose items need answers: let `data.splits.{ours}` "
            "be a split of answered rows"
        )


def _refuse_repeated_names(source: str, drawn: Mapping[str, Sequence[Example]]) -> None:
    splits: dict[str, str] = {}
    for split, examples in drawn.items():
        for example in examples:
            if example.item in splits:
                raise InputError(
                    f"{source}: item {example.item} appears twice (in {splits[example.item]} and "
                    f"{split}); make the column `id` unique or remove it"
                )
            splits[example.item] = split
