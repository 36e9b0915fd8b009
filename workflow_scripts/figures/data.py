"""What a figure or report about one model and task is drawn from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from workflow_scripts.errors import InputError
from workflow_scripts.names import is_main
from workflow_scripts.results import (
    ALL_SEEDS,
    WHOLE_SPLIT,
    ResultIndex,
    read_table,
    read_training_logs,
)

# the condition that the others are held against, where an experiment has it
BASELINE = "sft"

_STANDING = ["step", "accuracy", "accuracy_low", "accuracy_high"]


@dataclass(frozen=True)
class FigureData:
    """Tables of one model and task.

    conditions: trained conditions and transferred results in the order of the config, which
    fixes their colours.
    icl_gap: the rows about whole splits.
    training_logs: as `read_training_logs` returns them.
    """

    model: str
    task: str
    conditions: tuple[str, ...]
    summary: pd.DataFrame
    comparisons: pd.DataFrame
    icl_gap: pd.DataFrame
    training_logs: pd.DataFrame

    @property
    def main_conditions(self) -> list[str]:
        """Trained conditions without the variants of sweeps."""
        return [name for name in self.conditions if is_main(name)]

    @property
    def shots(self) -> list[int]:
        """Shot counts of the base results, fewest first."""
        return sorted(int(shots) for shots in self.icl_gap["shots"].unique())

    @property
    def references(self) -> list[str]:
        """The base results that students are held against: the fewest and the most shots."""
        return [f"{shots}-shot" for shots in dict.fromkeys((self.shots[0], self.shots[-1]))]

    @property
    def test_summary(self) -> pd.DataFrame:
        """Test rows of the summary, each condition over all its seeds."""
        return over_seeds(self.summary[self.summary["split"] == "test"])

    @property
    def overall_comparisons(self) -> pd.DataFrame:
        return over_seeds(self.comparisons)


def read_figure_data(
    model: str, task: str, index: ResultIndex, summary: Path, comparisons: Path, icl_gap: Path
) -> FigureData:
    """Reads the tables and keeps what concerns one model and task.

    Raises InputError when a file is missing or malformed, or the index lacks the two.
    """
    own = index.of(model, task)
    if not own.entries:
        raise InputError(f"index: holds no result of {model} on {task}")
    gaps = read_table(icl_gap)
    return FigureData(
        model=model,
        task=task,
        conditions=own.conditions,
        summary=rows_about(read_table(summary), model, task),
        comparisons=rows_about(read_table(comparisons), model, task),
        icl_gap=rows_about(gaps[gaps["sample"] == WHOLE_SPLIT], model, task),
        training_logs=read_training_logs(own),
    )


def rows_about(table: pd.DataFrame, model: str, task: str) -> pd.DataFrame:
    return table[(table["model"] == model) & (table["task"] == task)]


def over_seeds(table: pd.DataFrame) -> pd.DataFrame:
    """The rows with seed `all` of conditions that have them, every row of the others.

    A comparison counts as a condition here: its first and second are one name.
    """
    names = ["condition"] if "condition" in table else ["first", "second"]
    pooled = table["seed"].eq(ALL_SEEDS).fillna(False).astype(bool)
    has_pooled = pooled.groupby([table["model"], table["task"], *(table[n] for n in names)])
    return table[pooled | ~has_pooled.transform("any")]


def standings(comparisons: pd.DataFrame) -> pd.DataFrame:
    """Each condition's chosen step and its test accuracy with interval, best first.

    comparisons: rows about one model and task over all seeds.
    Returns the columns condition, step, accuracy, accuracy_low, accuracy_high.
    """
    sides = [
        comparisons[[side, *(f"{side}_{name}" for name in _STANDING)]].set_axis(
            ["condition", *_STANDING], axis=1
        )
        for side in ("second", "first")
    ]
    unique = pd.concat(sides, ignore_index=True).drop_duplicates("condition")
    return unique.sort_values("accuracy", ascending=False, kind="stable", ignore_index=True)
