"""Examples: questions with their answers, and the demonstrations drawn from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from itertools import islice, zip_longest
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.config.slices import ContextSettings
from workflow_scripts.prompts.formats import Demonstration
from workflow_scripts.runtime.checksums import checked
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import atomic_file


@dataclass(frozen=True)
class Example:
    """One item of a task. Its texts are not empty and have no white space around them.

    answer: None if the item is unlabelled.
    references: texts that scorers of free text compare with, instead of the answer.
    columns: the further columns of the task's `data.columns`.
    """

    item: str
    question: str
    answer: str | None
    references: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def required_answer(self) -> str:
        """The answer; raises InputError naming the item if it has none."""
        if self.answer is None:
            raise InputError(
                f"item {self.item} has no answer, which is needed here; answer it in its source, "
                "or use answers of a teacher"
            )
        return self.answer

    @property
    def accepted(self) -> tuple[str, ...]:
        return self.references or (self.required_answer,)

    def text_before(self, column: str | None) -> str | None:
        """The text that a context with this `item` column shows before the question.

        Raises InputError if the example lacks the column.
        """
        if column is None:
            return None
        if column not in self.columns:
            raise InputError(
                f"item {self.item} has no column '{column}'; list it under the task's "
                "`data.columns`"
            )
        return self.columns[column]


COLUMNS = [field.name for field in fields(Example)]
_OTHER_TYPES = {
    "references": pa.list_(pa.string()),
    "columns": pa.map_(pa.string(), pa.string()),
}
_SCHEMA = pa.schema([(name, _OTHER_TYPES.get(name, pa.string())) for name in COLUMNS])


def write_examples(path: Path, examples: Iterable[Example]) -> None:
    rows = pa.Table.from_pylist([asdict(example) for example in examples], _SCHEMA)
    with atomic_file(path) as partial:
        pq.write_table(rows, partial)


def read_examples(path: Path) -> list[Example]:
    """Raises InputError if the file is missing, damaged or not from `write_examples`."""
    checked(path)
    try:
        rows = pq.read_table(path).select(COLUMNS)
    except (ValueError, OSError, LookupError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: not examples ({reason}); delete it and rerun") from None
    return [
        Example(**row | {"references": tuple(row["references"]), "columns": dict(row["columns"])})
        for row in rows.to_pylist()
    ]


def draw_demonstrations(pool: Sequence[Example], context: ContextSettings) -> list[Demonstration]:
    """The demonstrations of a context, in order: those that `draw_examples` draws.

    Shuffled answers are exchanged so that no demonstration keeps its own, if their answers allow
    it.

    Raises InputError if the pool is too small, or lacks an answer or the column `context.item`.
    """
    shown, generator = _drawn(pool, context)
    answers: Sequence[str | None] = [None] * len(shown)
    if context.answers != "none":
        answers = [example.required_answer for example in shown]
    if context.answers == "shuffled":
        answers = _exchanged([example.required_answer for example in shown], generator)
    return [
        Demonstration(example.question, answer, example.text_before(context.item))
        for example, answer in zip(shown, answers, strict=True)
    ]


def draw_examples(pool: Sequence[Example], context: ContextSettings) -> list[Example]:
    """The examples that a context shows, in order, with their own answers.

    They are the first after `context.skip` of one seeded permutation of the pool, so k shots are a
    prefix of k + 1. A balanced draw takes them in the rounds of `in_rounds`.

    Raises InputError if the pool is too small.
    """
    return _drawn(pool, context)[0]


def _drawn(
    pool: Sequence[Example], context: ContextSettings
) -> tuple[list[Example], np.random.Generator]:
    """The drawn examples, and the generator that drew them."""
    needed = context.skip + context.shots
    if needed > len(pool):
        after = f" after the {context.skip} of other draws" if context.skip else ""
        raise InputError(
            f"{context.shots} shots{after}, but the pool has {len(pool)} demonstrations"
        )
    generator = np.random.default_rng(context.seed)
    permuted = [pool[index] for index in generator.permutation(len(pool))]
    ordered = in_rounds(permuted, generator) if context.balanced else permuted
    return list(islice(ordered, context.skip, needed)), generator


def in_rounds(examples: Sequence[Example], generator: np.random.Generator) -> Iterator[Example]:
    """The examples in rounds of one example for each remaining answer, in random order.

    Examples with the same answer keep their order. The first n have each answer equally often, as
    nearly as n allows, until one runs out.
    """
    answers = sorted({example.required_answer for example in examples})
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
