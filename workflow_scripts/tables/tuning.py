"""The best variant of each condition on validation, and how these compare on test."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

import pandas as pd

from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.config.slices import ComparisonSlice, TunedSlice
from workflow_scripts.results.checkpoint_selection import chosen_variant, validation_scores
from workflow_scripts.results.index import ResultIndex, read_predictions, write_table
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.tables.comparisons import compare

COLUMNS = [
    "model",
    "task",
    "field",
    "arm",
    "condition",
    "trials",
    "validation",
    "validation_loss",
    "chosen",
]


def main(
    settings: AnalysisSettings,
    tuned: list[TunedSlice],
    index: ResultIndex,
    table: Path,
    comparisons: Path,
) -> None:
    """Make tuning.csv and tuning_comparisons.csv from the runs of one model on one task."""
    predictions = read_predictions(index)
    candidates = tuning(predictions, tuned)
    write_table(candidates, table)
    write_table(compare_chosen(predictions, candidates, settings), comparisons)


def tuning(predictions: pd.DataFrame, tuned: Sequence[TunedSlice]) -> pd.DataFrame:
    """tuning.csv: one row for each candidate of each arm; `chosen` is the `chosen_variant`.

    predictions: of runs of one model on one task, as `read_predictions` returns them.
    """
    table = pd.DataFrame(_rows(predictions, tuned), columns=COLUMNS[2:])
    return table.assign(**predictions[["model", "task"]].iloc[0])[COLUMNS]


def _rows(predictions: pd.DataFrame, tuned: Sequence[TunedSlice]) -> Iterator[dict[str, object]]:
    scores = validation_scores(predictions)
    for sweep in tuned:
        for arm, candidates in sweep.arms.items():
            chosen = chosen_variant(predictions, candidates)
            for name in candidates:
                yield {
                    "field": sweep.field,
                    "arm": arm,
                    "condition": name,
                    "trials": len(candidates),
                    "validation": scores.loc[name, "selection"],
                    "validation_loss": scores.loc[name, "selection_loss"],
                    "chosen": name == chosen,
                }


def compare_chosen(
    predictions: pd.DataFrame, tuning: pd.DataFrame, settings: AnalysisSettings
) -> pd.DataFrame:
    """tuning_comparisons.csv: the chosen variants of each sweep, in pairs; a group for each field.

    predictions: of the runs. tuning: tuning.csv. See `compare`.
    """
    groups = []
    for field, chosen in tuning[tuning["chosen"]].groupby("field", sort=False):
        members = tuple(chosen["condition"])
        pairs = tuple((later, earlier) for earlier, later in combinations(members, 2))
        groups.append(
            ComparisonSlice(name=str(field), members=members, design="pairs", pairs=pairs)
        )
    return compare(predictions, groups, settings)


if __name__ == "__main__":
    run_program(main)
