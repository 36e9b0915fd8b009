"""What runs on a task forgot of others: each condition against the base model."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.config.slices import ComparisonSlice
from workflow_scripts.results.index import (
    REPLICATE,
    ResultIndex,
    read_predictions,
    write_table,
)
from workflow_scripts.results.metrics import columns_of
from workflow_scripts.results.names import BASE, is_transferred, without_source
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.tables.comparisons import compare
from workflow_scripts.tables.verdicts import of_retention

COLUMNS = [
    "model",
    "task",
    "answered",
    "condition",
    *REPLICATE,
    "step",
    "items",
    *columns_of("base_accuracy", "accuracy", "difference"),
    "p",
    "p_holm",
    "verdict",
    "note",
    "detectable",
]


def main(settings: AnalysisSettings, index: ResultIndex, table: Path) -> None:
    """Make retention.csv.

    index: the runs of one model on one task, there and on each retained task, and the base model
    without demonstrations on all of them.
    """
    write_table(retention(read_predictions(index), settings), table)


def retention(predictions: pd.DataFrame, settings: AnalysisSettings) -> pd.DataFrame:
    """retention.csv: one row for each answered task, condition, seed and draw, and with several of
    `all`.

    Rows whose answered task is the trained one (`task`) say what was gained. Each condition is
    compared with the base model as in a comparison group of its own (`compare`), corrected over
    the conditions.

    predictions: as `read_predictions` returns them.
    Raises InputError as `compare`.
    """
    of_runs = predictions["seed"].notna() & ~predictions["condition"].map(is_transferred)
    task = predictions.loc[of_runs, "task"].iloc[0]
    tables = [_compared(own, settings) for _, own in predictions.groupby("task", sort=False)]
    table = pd.concat(tables, ignore_index=True)
    elsewhere = table["task"] != task
    table["verdict"] = table["verdict"].mask(elsewhere, table["verdict"].map(of_retention))
    return table.assign(answered=table["task"], task=task)[COLUMNS]


def _compared(predictions: pd.DataFrame, settings: AnalysisSettings) -> pd.DataFrame:
    """Every condition against the base model on one task, in the columns of comparisons.csv."""
    own = predictions.assign(condition=predictions["condition"].map(without_source))
    conditions = [name for name in own["condition"].unique() if name != BASE]
    group = ComparisonSlice(
        name="retention",
        members=(BASE, *conditions),
        design="first",
        pairs=tuple((name, BASE) for name in conditions),
    )
    return compare(own, [group], settings).rename(columns=_renamed)


def _renamed(column: str) -> str:
    if column == "first":
        return "condition"
    return column.replace("second_", "base_", 1).removeprefix("first_")


if __name__ == "__main__":
    run_program(main)
