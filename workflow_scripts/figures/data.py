"""What figures are drawn from: names of one model and task, and the tables about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from workflow_scripts.config.comparisons import ComparisonGroup
from workflow_scripts.results import formatting as fmt
from workflow_scripts.results.index import (
    ALL_SEEDS,
    RUN_KEYS,
    WHOLE_SPLIT,
    ResultIndex,
    read_table,
    read_training_logs,
)
from workflow_scripts.results.names import is_main, is_transferred
from workflow_scripts.runtime.errors import InputError

_CHOSEN = ["step", "accuracy", "accuracy_low", "accuracy_high"]


# --- names --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Subject:
    """What a figure is about, in names; every number that it shows is in its table.

    conditions: trained conditions and transferred results in the order of the config, which
    fixes their colours.
    references: the base results that students are held against: the fewest and the most shots.
    scores: what the task's are called.
    """

    model: str
    task: str
    conditions: tuple[str, ...]
    references: tuple[str, ...]
    scores: fmt.Scores = field(default=fmt.ACCURACIES, kw_only=True)

    @property
    def main_conditions(self) -> list[str]:
        """Trained conditions without the variants of sweeps."""
        return [name for name in self.conditions if is_main(name)]


@dataclass(frozen=True)
class GroupSubject(Subject):
    """A figure about results that are compared with each other.

    texts: what is said of members, where something is.
    baseline: the condition that others are held against, where it is a member.
    values: the numbers of members that a sweep varies; of base results, demonstrations.
    """

    group: ComparisonGroup
    texts: Mapping[str, str]
    baseline: str
    values: Mapping[str, float] = field(default_factory=dict)

    @property
    def trained(self) -> list[str]:
        """Members that were trained on the task itself, in the group's order."""
        return [
            name
            for name in self.group.members
            if name in self.conditions and not is_transferred(name)
        ]

    def text_of(self, member: str) -> str:
        return self.texts.get(member, member)


def subject_of(index: ResultIndex, model: str, task: str, scorer: str) -> Subject:
    """Raises InputError when the index lacks the model and task."""
    own = index.of(model, task)
    if not own.entries:
        raise InputError(f"index: holds no result of {model} on {task}")
    shots = sorted(entry.shots for entry in own.entries if entry.shots is not None)
    ends = dict.fromkeys((shots[0], shots[-1])) if shots else {}
    references = tuple(f"{count}-shot" for count in ends)
    return Subject(model, task, own.conditions, references, scores=fmt.scores_of(scorer))


# --- data ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class FigureData:
    """Tables of one model and task.

    test_summary: rows of summary.csv about the test split, each condition over all its seeds.
    icl_gap: rows of icl_gap.csv about the whole test split.
    training_logs: as `read_training_logs` returns them.
    """

    subject: Subject
    test_summary: pd.DataFrame
    icl_gap: pd.DataFrame
    training_logs: pd.DataFrame


@dataclass(frozen=True)
class GroupData:
    """Tables of one model and task about the members of a group, over all seeds.

    test_summary: the rows of the references as well.
    drift: empty where representations are not measured.
    cost: of each seed; empty for figures that do not show it.
    """

    subject: GroupSubject
    test_summary: pd.DataFrame
    comparisons: pd.DataFrame
    drift: pd.DataFrame
    cost: pd.DataFrame


def read_figure_data(
    subject: Subject, index: ResultIndex, summary: Path, icl_gap: Path
) -> FigureData:
    """Reads the tables and keeps what concerns the subject's model and task.

    Raises InputError when a file is missing or malformed.
    """
    model, task = subject.model, subject.task
    return FigureData(
        subject=subject,
        test_summary=_test_rows(rows_about(read_table(summary), model, task)),
        icl_gap=whole_test_gaps(rows_about(read_table(icl_gap), model, task)),
        training_logs=read_training_logs(index.of(model, task)),
    )


def read_group_data(
    subject: GroupSubject,
    summary: Path,
    comparisons: Path,
    drift: Path | None = None,
    cost: Path | None = None,
) -> GroupData:
    """Reads the tables and keeps what concerns one group of one model and task.

    drift, cost: None where they are not measured or not shown.
    Raises InputError when a file is missing or malformed.
    """
    model, task, group = subject.model, subject.task, subject.group
    compared = rows_about(read_table(comparisons), model, task)
    own = _test_rows(rows_about(read_table(summary), model, task))
    moved, costs = (rows_about(_of_members(path, group), model, task) for path in (drift, cost))
    return GroupData(
        subject=subject,
        test_summary=own[own["condition"].isin({*group.members, *subject.references})],
        comparisons=over_seeds(compared[compared["group"] == group.name]),
        drift=over_seeds(moved),
        cost=costs,
    )


def _of_members(path: Path | None, group: ComparisonGroup) -> pd.DataFrame:
    table = pd.DataFrame(columns=RUN_KEYS) if path is None else read_table(path)
    return table[table["condition"].isin(group.members)]


def _test_rows(summary: pd.DataFrame) -> pd.DataFrame:
    return over_seeds(summary[summary["split"] == "test"])


def rows_about(table: pd.DataFrame, model: str, task: str) -> pd.DataFrame:
    return table[(table["model"] == model) & (table["task"] == task)]


def whole_test_gaps(icl_gap: pd.DataFrame) -> pd.DataFrame:
    """The rows of icl_gap.csv that are about all test items."""
    return icl_gap[(icl_gap["sample"] == WHOLE_SPLIT) & (icl_gap["split"] == "test")]


def over_seeds(table: pd.DataFrame) -> pd.DataFrame:
    """The rows with seed `all` of conditions that have them, every row of the others.

    A comparison counts as a condition here: its first and second are one name.
    """
    names = ["condition"] if "condition" in table else ["first", "second"]
    pooled = table["seed"].eq(ALL_SEEDS).fillna(False).astype(bool)
    has_pooled = pooled.groupby([table["model"], table["task"], *(table[n] for n in names)])
    return table[pooled | ~has_pooled.transform("any")]


# --- shapes -------------------------------------------------------------------------------


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


def one_value_a_row(
    table: pd.DataFrame, keys: Sequence[str], measures: Sequence[str]
) -> pd.DataFrame:
    """The columns `keys`, measure, value, low, high: a row for each measure with its interval.

    measures: columns of `table` that have `_low` and `_high`.
    """
    parts = [
        table[[*keys, name, f"{name}_low", f"{name}_high"]]
        .set_axis([*keys, "value", "low", "high"], axis=1)
        .assign(measure=name)
        for name in measures
    ]
    return pd.concat(parts, ignore_index=True)[[*keys, "measure", "value", "low", "high"]]
