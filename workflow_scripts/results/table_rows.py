"""The rows of tables that figures and the report show."""

from __future__ import annotations

import pandas as pd

from workflow_scripts.results.index import ALL, REPLICATE, WHOLE_SPLIT, is_shot_count
from workflow_scripts.results.metrics import columns_of

_CHOSEN = ["step", *columns_of("accuracy")]


def rows_about(table: pd.DataFrame, model: str, task: str) -> pd.DataFrame:
    return table[(table["model"] == model) & (table["task"] == task)]


def whole_test_gaps(icl_gap: pd.DataFrame) -> pd.DataFrame:
    """The rows of icl_gap.csv about all test items, after demonstrations alone, over all draws."""
    of_shots = test_gaps(icl_gap)["condition"].map(is_shot_count).astype(bool)
    return over_seeds(test_gaps(icl_gap)[of_shots])


def context_test_gaps(icl_gap: pd.DataFrame) -> pd.DataFrame:
    """The same in the contexts of teachers that are more than demonstrations."""
    gaps = over_seeds(test_gaps(icl_gap))
    return gaps[~gaps["condition"].map(is_shot_count).astype(bool)]


def test_gaps(icl_gap: pd.DataFrame) -> pd.DataFrame:
    """The rows about all test items: those of each draw, of all draws, and of teachers."""
    return icl_gap[(icl_gap["sample"] == WHOLE_SPLIT) & (icl_gap["split"] == "test")]


def is_pooled(table: pd.DataFrame) -> pd.Series:
    """Whether a row is about several seeds or draws together."""
    columns = [table[name] for name in REPLICATE if name in table]
    every = [column.eq(ALL).fillna(False).astype(bool) for column in columns]
    return pd.concat(every, axis=1).any(axis=1)


def over_seeds(table: pd.DataFrame) -> pd.DataFrame:
    """The rows with seed or draw `all` of conditions that have them, every row of the others.

    A comparison counts as a condition here: its first and second are one name.
    """
    names = ["condition"] if "condition" in table else ["first", "second"]
    pooled = is_pooled(table)
    has_pooled = pooled.groupby([table["model"], table["task"], *(table[n] for n in names)])
    return table[pooled | ~has_pooled.transform("any")]


def chosen_results(comparisons: pd.DataFrame) -> pd.DataFrame:
    """Each condition's chosen step and its test accuracy with interval, best first.

    comparisons: rows about one model and task over all seeds. A condition is the same in every
    group that it is a member of.
    Returns the columns condition, step, accuracy, accuracy_low, accuracy_high.
    """
    sides = [
        comparisons[[side, *(f"{side}_{name}" for name in _CHOSEN)]].set_axis(
            ["condition", *_CHOSEN], axis=1
        )
        for side in ("second", "first")
    ]
    unique = pd.concat(sides, ignore_index=True).drop_duplicates("condition")
    return unique.sort_values("accuracy", ascending=False, kind="stable", ignore_index=True)
