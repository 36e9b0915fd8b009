"""Generated answers on disk: `answers.parquet`, with all that was generated."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.runtime.checksums import checked
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import atomic_file
from workflow_scripts.tasks.examples import Example

_SCHEMA = pa.schema(
    [
        ("item", pa.string()),
        ("question", pa.string()),
        ("sample", pa.int64()),
        ("answer", pa.string()),
        ("finished", pa.bool_()),
        ("tokens", pa.int64()),
        ("logprob", pa.float64()),
        ("agreement", pa.float64()),
        ("columns", pa.map_(pa.string(), pa.string())),
    ]
)


# why an answer cannot be trained on → the words for it
REASONS = {
    "empty": "empty",
    "cut": "cut by max_new_tokens",
    "markup": "with markup of the chat template",
}


@dataclass(frozen=True)
class Answer:
    """One generated answer to an item.

    question: the item; it has no answer of its own here.
    sample: 1, 2, … of the answers to this item.
    text: without white space around it; empty if nothing was said.
    finished: whether it came to its end, rather than to `max_new_tokens`.
    tokens: of the text and the end token; 0 if a conversation cannot show the text.
    logprob: of all these tokens together, nats, as their author reads them in its context; NaN
    where there are none.
    agreement: share of the item's usable samples that agree with it, itself included; NaN unless
    the answer is usable.
    """

    question: Example
    sample: int
    text: str
    finished: bool
    tokens: int
    logprob: float = math.nan
    agreement: float = math.nan

    @property
    def unusable(self) -> str | None:
        """Why it cannot be trained on, one of `REASONS`; None if it can."""
        if not self.text:
            return "empty"
        if not self.tokens:
            return "markup"
        return None if self.finished else "cut"

    @property
    def mean_logprob(self) -> float:
        """Of a token, nats."""
        return self.logprob / self.tokens if self.tokens else math.nan

    def name(self, several: bool) -> str:
        """Of the example that it becomes: the item, or `x#2` for the second sample of item `x`.

        several: see `have_several`.
        """
        return f"{self.question.item}#{self.sample}" if several else self.question.item

    def example(self, several: bool) -> Example:
        """The example that it becomes; gold is no part of it, so it has no references."""
        return replace(self.question, item=self.name(several), answer=self.text, references=())


def write_answers(path: Path, answers: Iterable[Answer]) -> None:
    rows = [
        {
            "item": answer.question.item,
            "question": answer.question.question,
            "sample": answer.sample,
            "answer": answer.text,
            "finished": answer.finished,
            "tokens": answer.tokens,
            "logprob": answer.logprob,
            "agreement": answer.agreement,
            "columns": dict(answer.question.columns),
        }
        for answer in answers
    ]
    with atomic_file(path) as partial:
        pq.write_table(pa.Table.from_pylist(rows, _SCHEMA), partial)


def read_answers(path: Path) -> list[Answer]:
    """Raises InputError if the file is missing, damaged or not from `write_answers`."""
    checked(path)
    try:
        rows = pq.read_table(path).select(_SCHEMA.names).to_pylist()
    except (ValueError, OSError, LookupError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: not answers ({reason}); delete it and rerun") from None
    return [
        Answer(
            question=Example(
                item=row["item"],
                question=row["question"],
                answer=None,
                columns=dict(row["columns"]),
            ),
            sample=row["sample"],
            text=row["answer"],
            finished=row["finished"],
            tokens=row["tokens"],
            logprob=row["logprob"],
            agreement=row["agreement"],
        )
        for row in rows
    ]


def have_several(answers: Iterable[Answer]) -> bool:
    """Whether items have several answers, so that each needs a name of its own as an example."""
    return any(answer.sample > 1 for answer in answers)


def told(answers: Iterable[Answer]) -> str:
    """`3 of 160 empty, 2 cut by max_new_tokens`."""
    counts = Counter(answer.unusable for answer in answers)
    words = [f"{counts['empty']} of {counts.total()} empty", f"{counts['cut']} {REASONS['cut']}"]
    if counts["markup"]:
        words.append(f"{counts['markup']} {REASONS['markup']}")
    return ", ".join(words)


def table_of(answers: Sequence[Answer]) -> pd.DataFrame:
    """One row for each answer: example (its name as one), item, answer, unusable (the reason, or
    missing), tokens, mean_logprob, agreement."""
    several = have_several(answers)
    rows = [
        {
            "example": answer.name(several),
            "item": answer.question.item,
            "answer": answer.text,
            "unusable": answer.unusable,
            "tokens": answer.tokens,
            "mean_logprob": answer.mean_logprob,
            "agreement": answer.agreement,
        }
        for answer in answers
    ]
    return pd.DataFrame(rows)
