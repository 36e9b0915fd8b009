"""Generated answers: how many are usable and kept, and how many of them are right."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from workflow_scripts.answers.records import REASONS, read_answers, table_of
from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.config.base import Name, ResultName, Strict
from workflow_scripts.config.slices import ScoringSlice
from workflow_scripts.results.index import write_table
from workflow_scripts.results.metrics import SCORES, columns_of, in_columns
from workflow_scripts.results.statistics import Interval, score_interval
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.scoring.predictions import score_answers
from workflow_scripts.tasks.examples import Example, read_examples

# prefix of the accuracies' columns → rows that they are about
_SETS = {"": "usable", "kept_": "kept"}
COLUMNS = [
    *("model", "task", "teacher", "condition", "draw", "seed", "round", "kind"),
    *("items", "answers", "empty", "cut", "markup", "kept"),
    *("tokens", "logprob", "agreement"),
    *columns_of(*(f"{prefix}accuracy_{kind}" for prefix in _SETS for kind in SCORES)),
]


class AnswersEntry(Strict):
    """One set of generated answers, and which of them were kept.

    teacher: who answered; None for a student.
    condition, seed, round: of a student.
    draw: of the demonstrations, where there are several.
    kind: how they were drawn and kept.
    answers, kept: answers.parquet and the examples.parquet chosen from it.
    """

    model: Name
    task: Name
    teacher: Name | None = None
    condition: ResultName | None = None
    draw: int | None = None
    seed: int | None = None
    round: int | None = None
    kind: str
    answers: Path
    kept: Path


def main(
    settings: AnalysisSettings,
    scoring: ScoringSlice,
    index: list[AnswersEntry],
    examples: Path,
    table: Path,
) -> None:
    """Make answers.csv.

    examples: train.parquet of the task, with gold answers where there are any.
    """
    gold = read_examples(examples)
    write_table(answers_table(index, gold, scoring, settings.confidence), table)


def answers_table(
    entries: Iterable[AnswersEntry],
    gold: Sequence[Example],
    scoring: ScoringSlice,
    confidence: float,
) -> pd.DataFrame:
    """answers.csv: one row for each set of answers.

    `tokens`, `logprob` (nats of a token) and `agreement` are means over the usable answers.
    `accuracy_strict` and `accuracy_flexible` are the usable answers' mean scores against gold, each
    item weighing the same, with the `score_interval` over items; `kept_…` those of the kept ones.
    They are NaN where no item has a gold answer.
    """
    rows = [_row(entry, gold, scoring, confidence) for entry in entries]
    return pd.DataFrame(rows, columns=COLUMNS).astype(
        dict.fromkeys(("draw", "seed", "round"), "Int64")
    )


def _row(
    entry: AnswersEntry, gold: Sequence[Example], scoring: ScoringSlice, confidence: float
) -> dict[str, Any]:
    answers = scored(entry, gold, scoring)
    usable = answers[answers["unusable"].isna()]
    sets = {"usable": usable, "kept": usable[usable["kept"]]}
    row = entry.model_dump(exclude={"answers", "kept"}) | {
        "items": answers["item"].nunique(),
        "answers": len(answers),
        **{reason: int((answers["unusable"] == reason).sum()) for reason in REASONS},
        "kept": len(sets["kept"]),
        "tokens": usable["tokens"].mean(),
        "logprob": usable["mean_logprob"].mean(),
        "agreement": usable["agreement"].mean(),
    }
    for prefix, name in _SETS.items():
        for kind in SCORES:
            row |= _accuracy(f"{prefix}accuracy_{kind}", sets[name], kind, confidence)
    return row


def scored(entry: AnswersEntry, gold: Sequence[Example], scoring: ScoringSlice) -> pd.DataFrame:
    """`table_of` all answers, whether each is kept, and its scores, NaN without gold."""
    answers = table_of(read_answers(entry.answers))
    kept = {example.item for example in read_examples(entry.kept)}
    table = score_answers(answers, gold, scoring)
    return table.assign(kept=table["example"].isin(kept))


def _accuracy(column: str, answers: pd.DataFrame, kind: str, confidence: float) -> dict[str, float]:
    """answers: with scores, NaN without gold."""
    # the samples of one item are no independent observations
    by_item = answers.groupby("item")[kind].mean().dropna().to_numpy(dtype=float)
    if not len(by_item):
        return in_columns(column, math.nan, Interval(math.nan, math.nan))
    return in_columns(column, float(by_item.mean()), score_interval(by_item, confidence))


if __name__ == "__main__":
    run_program(main)
