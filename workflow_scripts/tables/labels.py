"""Accuracy on the items of each correct label of a choice task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.results.checkpoint_selection import at_chosen_steps, written_steps
from workflow_scripts.results.index import (
    RUN_KEYS,
    ResultIndex,
    by_item,
    by_replicate,
    cube_of,
    read_predictions,
    write_table,
)
from workflow_scripts.results.metrics import columns_of, in_columns
from workflow_scripts.results.statistics import (
    bootstrap_means,
    score_interval,
    score_interval_over_seeds,
)
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.tasks.examples import read_examples

COLUMNS = [
    *RUN_KEYS,
    "step",
    "label",
    "items",
    "predicted",
    *columns_of("accuracy"),
]


def main(
    settings: AnalysisSettings, labels: list[str], index: ResultIndex, examples: Path, table: Path
) -> None:
    """Make labels.csv.

    labels: of the task, as JSON.
    examples: test.parquet of the task.
    """
    answers = {example.item: example.required_answer for example in read_examples(examples)}
    write_table(accuracy_by_label(read_predictions(index), answers, labels, settings), table)


def accuracy_by_label(
    predictions: pd.DataFrame,
    answers: Mapping[str, str],
    labels: Sequence[str],
    settings: AnalysisSettings,
) -> pd.DataFrame:
    """labels.csv: one row for each result, seed, draw and label, and with several of `all`.

    On test, at the checkpoint chosen on validation. `accuracy` is the strict accuracy on the
    `items` that the label is correct for (its recall), with Wilson's interval, of `all` for the
    number of trials that a bootstrap over items, seeds and draws amounts to. `predicted` is the
    share of all items that are answered with the label. A label that is correct for no item has no
    row.

    predictions: of one model on one task, as `read_predictions` returns them.
    answers: the correct label of each test item.
    Raises InputError for an item without an answer.
    """
    chosen = at_chosen_steps(predictions)
    unknown = set(chosen["item"]) - set(answers)
    if unknown:
        raise InputError(
            f"item {min(unknown)}: predicted, but not among the task's examples; "
            "delete the completions and rerun"
        )
    chosen = chosen.assign(answer=chosen["item"].map(answers))
    rows = [
        row
        for _, result in chosen.groupby("condition", sort=False)
        for replicate, own in by_replicate(result)
        for row in _rows(own, replicate, labels, settings)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _rows(
    own: pd.DataFrame,
    replicate: Mapping[str, str | None],
    labels: Sequence[str],
    settings: AnalysisSettings,
) -> Iterator[dict[str, object]]:
    """own: one result in one seed and draw or in all of them. replicate: these columns."""
    names = dict(own[["model", "task", "condition"]].iloc[0])
    for label in labels:
        correct = own[own["answer"] == label]
        if len(correct):
            yield names | {
                **replicate,
                "step": written_steps(own),
                "label": label,
                "items": correct["item"].nunique(),
                "predicted": float((own["prediction"] == label).mean()),
                **_accuracy(correct, settings),
            }


def _accuracy(correct: pd.DataFrame, settings: AnalysisSettings) -> dict[str, float]:
    """correct: the rows that one label is correct for, of one seed and draw or several."""
    cube = cube_of(by_item(correct, "strict", ["condition"]))
    scores = cube[..., 0]
    if scores.size == scores.shape[-1]:
        interval = score_interval(scores[0, 0], settings.confidence)
    else:
        means = bootstrap_means(cube, settings.bootstrap_samples, settings.seed)
        interval = score_interval_over_seeds(scores, means[:, 0], settings.confidence)
    return in_columns("accuracy", float(scores.mean()), interval)


if __name__ == "__main__":
    run_program(main)
