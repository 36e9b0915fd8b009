"""Examples: questions with their answers, and the demonstrations drawn from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import islice, zip_longest
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from workflow_scripts.config.slices import ContextSettings
from workflow_scripts.prompts.formats import Demonstration
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import atomic_file


@dataclass(frozen=True)
class Example:
    """One item of a task. No text is empty or begins or ends with white space.

    references: what metrics of free text compare with; the answer alone where there are none.
    """

    item: str
    question: str
    answer: str
    references: tuple[str, ...] = ()

    @property
    def accepted(self) -> tuple[str, ...]:
        return self.references or (self.answer,)


COLUMNS = [field.name for field in fields(Example)]
_SCHEMA = pa.schema(
    [(name, pa.list_(pa.string()) if name == "references" else pa.string()) for name in COLUMNS]
)


def write_examples(path: Path, examples: Iterable[Example]) -> None:
    rows = pd.DataFrame([asdict(example) for example in examples], columns=COLUMNS)
    with atomic_file(path) as partial:
        rows.to_parquet(partial, index=False, schema=_SCHEMA)


def read_examples(path: Path) -> list[Example]:
    """Raises InputError when the file is missing or is not a split that make_task wrote."""
    try:
        rows = pd.read_parquet(path, columns=COLUMNS)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (ValueError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: not examples ({reason}); delete it and rerun") from None
    return [
        Example(item, question, answer, tuple(references))
        for item, question, answer, references in rows.itertuples(index=False, name=None)
    ]


def draw_demonstrations(pool: Sequence[Example], context: ContextSettings) -> list[Demonstration]:
    """The demonstrations shown in a context, in order.

    They are the first of one seeded permutation of the pool, so a smaller number of shots shows
    the first of a larger number's. Balanced ones are the first of its rounds: each label as often
    as the others, as far as their number allows. Shuffled answers are exchanged among the
    demonstrations shown: none keeps its own wherever their answers allow it.

    Raises InputError when the pool is smaller than the number of shots.
    """
    if context.shots > len(pool):
        raise InputError(f"{context.shots} shots, but the pool has {len(pool)} demonstrations")
    generator = np.random.default_rng(context.seed)
    permuted = [pool[index] for index in generator.permutation(len(pool))]
    ordered = in_rounds(permuted, generator) if context.balanced else permuted
    shown = list(islice(ordered, context.shots))
    answers: Sequence[str | None] = [example.answer for example in shown]
    if context.answers == "none":
        answers = [None] * len(shown)
    elif context.answers == "shuffled":
        answers = _exchanged([example.answer for example in shown], generator)
    return [
        Demonstration(example.question, answer)
        for example, answer in zip(shown, answers, strict=True)
    ]


def in_rounds(examples: Sequence[Example], generator: np.random.Generator) -> Iterator[Example]:
    """All the examples in rounds, which hold one of each answer that is left, in random order.

    The examples of one answer keep their order. The first n hold each answer equally often, as
    nearly as n allows, until one is used up.
    """
    answers = sorted({example.answer for example in examples})
    queues = [[e for e in examples if e.answer == answer] for answer in answers]
    for one_of_each in zip_longest(*queues):
        for index in generator.permutation(len(answers)):
            if one_of_each[index] is not None:
                yield one_of_each[index]


def _exchanged(answers: Sequence[str], generator: np.random.Generator) -> list[str]:
    """The same answers in other places, as few as possible where an equal one stood.

    Equal answers are put side by side in a random order of groups, and each place takes the
    answer that lies the largest group's size further on: past its own group.
    """
    if not answers:
        return []
    sizes = Counter(answers)
    rank = dict(zip(sizes, generator.permutation(len(sizes)), strict=True))
    places = sorted(generator.permutation(len(answers)), key=lambda place: rank[answers[place]])
    step = max(sizes.values())
    exchanged = list(answers)
    for index, place in enumerate(places):
        exchanged[place] = answers[places[(index + step) % len(places)]]
    return exchanged
