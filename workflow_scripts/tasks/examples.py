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
    """One item of a task. Its texts are not empty and have no white space around them.

    references: texts that scorers of free text compare with, instead of the answer.
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
    """Raises InputError if the file is missing or was not written by `write_examples`."""
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
    """The demonstrations of a context, in order: those that `draw_examples` draws.

    Shuffled answers are exchanged so that no demonstration keeps its own, if their answers allow
    it.

    Raises InputError if the pool is smaller than the number of shots.
    """
    shown, generator = _drawn(pool, context)
    answers: Sequence[str | None] = [example.answer for example in shown]
    if context.answers == "none":
        answers = [None] * len(shown)
    elif context.answers == "shuffled":
        answers = _exchanged([example.answer for example in shown], generator)
    return [
        Demonstration(example.question, answer)
        for example, answer in zip(shown, answers, strict=True)
    ]


def draw_examples(pool: Sequence[Example], context: ContextSettings) -> list[Example]:
    """The examples that a context shows, in order, with their own answers.

    They are the first of one seeded permutation of the pool, so k shots are a prefix of k + 1.
    A balanced draw takes them in the rounds of `in_rounds`.

    Raises InputError if the pool is smaller than the number of shots.
    """
    return _drawn(pool, context)[0]


def _drawn(
    pool: Sequence[Example], context: ContextSettings
) -> tuple[list[Example], np.random.Generator]:
    """The drawn examples, and the generator that drew them."""
    if context.shots > len(pool):
        raise InputError(f"{context.shots} shots, but the pool has {len(pool)} demonstrations")
    generator = np.random.default_rng(context.seed)
    permuted = [pool[index] for index in generator.permutation(len(pool))]
    ordered = in_rounds(permuted, generator) if context.balanced else permuted
    return list(islice(ordered, context.shots)), generator


def in_rounds(examples: Sequence[Example], generator: np.random.Generator) -> Iterator[Example]:
    """The examples in rounds of one example for each remaining answer, in random order.

    Examples with the same answer keep their order. The first n have each answer equally often, as
    nearly as n allows, until one runs out.
    """
    answers = sorted({example.answer for example in examples})
    queues = [[e for e in examples if e.answer == answer] for answer in answers]
    for one_of_each in zip_longest(*queues):
        for index in generator.permutation(len(answers)):
            if one_of_each[index] is not None:
                yield one_of_each[index]


def _exchanged(answers: Sequence[str], generator: np.random.Generator) -> list[str]:
    """The answers permuted so that as few places as possible keep an equal one.

    Places are sorted by answer, the answers in random order; each takes the answer that is as many
    places further on as the commonest answer has.
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
