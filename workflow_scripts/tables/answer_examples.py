"""A few of each teacher's answers to training questions beside gold, for readers of the report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from workflow_scripts.config.slices import ScoringSlice
from workflow_scripts.results.index import write_table
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.tables.answers import AnswersEntry, scored
from workflow_scripts.tasks.examples import Example, read_examples

# of each teacher
SHOWN = 5
COLUMNS = [
    *("model", "task", "teacher", "draw", "kind", "item"),
    *("question", "answer", "unusable", "kept", "gold", "strict"),
]


def main(
    scoring: ScoringSlice,
    index: list[AnswersEntry],
    examples: Path,
    table: Path,
) -> None:
    """Make answer_examples.csv.

    examples: train.parquet of the task, with gold answers where there are any.
    """
    write_table(example_table(index, read_examples(examples), scoring), table)


def example_table(
    entries: Iterable[AnswersEntry], gold: Sequence[Example], scoring: ScoringSlice
) -> pd.DataFrame:
    """answer_examples.csv: the answers to the first items of each set, of samples the first.

    `gold` and `strict` (the answer's score) are missing where an item has no gold answer,
    `unusable` where the answer can be trained on.
    """
    tables = [_rows(entry, gold, scoring) for entry in entries]
    table = pd.concat(tables) if tables else pd.DataFrame(columns=COLUMNS)
    return table[COLUMNS].astype({"draw": "Int64"})


def _rows(entry: AnswersEntry, gold: Sequence[Example], scoring: ScoringSlice) -> pd.DataFrame:
    first = scored(entry, gold, scoring).drop_duplicates("item").head(SHOWN)
    examples = {example.item: example for example in gold}
    own = [examples[item] for item in first["item"]]
    names = entry.model_dump(include={"model", "task", "teacher", "draw", "kind"})
    return first.assign(
        **names,
        question=[example.question for example in own],
        gold=pd.array([example.answer for example in own], dtype="string"),
    )


if __name__ == "__main__":
    run_program(main)
