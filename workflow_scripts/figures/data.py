"""What figures are drawn from: names of one model and task, and the tables about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from workflow_scripts.config.comparisons import ComparisonGroup
from workflow_scripts.config.slices import FigureSlice
from workflow_scripts.results import formatting as fmt
from workflow_scripts.results.index import (
    ResultIndex,
    is_shot_count,
    read_table,
    read_training_logs,
)
from workflow_scripts.results.names import is_main, is_transferred
from workflow_scripts.results.table_rows import (
    context_test_gaps,
    over_seeds,
    rows_about,
    whole_test_gaps,
)
from workflow_scripts.runtime.errors import InputError

# --- names --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Subject:
    """The names in a figure; every number that it shows is in its table.

    conditions: trained conditions and transferred results in the order of the config, which
    fixes their colours.
    references: base results that students are compared with: the fewest and the most shots, and
    the further contexts of teachers.
    foreign: results that were made elsewhere; their colours follow those of the conditions.
    scores: names of the task's scores.
    """

    model: str
    task: str
    conditions: tuple[str, ...]
    references: tuple[str, ...]
    foreign: tuple[str, ...] = field(default=(), kw_only=True)
    scores: fmt.Scores = field(default=fmt.ACCURACIES, kw_only=True)

    @property
    def main_conditions(self) -> list[str]:
        """Trained conditions without the variants of sweeps."""
        return [name for name in self.conditions if is_main(name)]


@dataclass(frozen=True)
class GroupSubject(Subject):
    """The names in a figure about results that are compared with each other.

    texts: member → its name for people, where it has one.
    baseline: the condition that others are compared with, where it is a member.
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


def subject_of(settings: FigureSlice, index: ResultIndex) -> Subject:
    """A `GroupSubject` where the settings name a group.

    Raises InputError when the index lacks the model and task.
    """
    own = index.of(settings.model, settings.task)
    if not own.entries:
        raise InputError(f"index: holds no result of {settings.model} on {settings.task}")
    base = {entry.shots for entry in own.entries if is_shot_count(entry.condition)}
    contexts = {
        entry.condition: None
        for entry in own.entries
        if entry.shots is not None and not is_shot_count(entry.condition)
    }
    shots = sorted(count for count in base if count is not None)
    ends = dict.fromkeys((shots[0], shots[-1])) if shots else {}
    references = (*(f"{count}-shot" for count in ends), *contexts)
    names = (settings.model, settings.task, own.conditions, references)
    scores = fmt.scores_of(settings.scorer, settings.judge)
    if settings.group is None:
        return Subject(*names, foreign=own.foreign, scores=scores)
    of_group = (settings.group, settings.texts, settings.baseline, settings.values)
    return GroupSubject(*names, *of_group, foreign=own.foreign, scores=scores)


# --- data ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class FigureData:
    """Tables of one model and task, by name, and the training logs of its runs."""

    subject: Subject
    tables: Mapping[str, pd.DataFrame]
    training_logs: pd.DataFrame

    @property
    def test_summary(self) -> pd.DataFrame:
        """Rows of summary.csv about the test split, each condition over all its seeds and draws."""
        summary = self.tables["summary"]
        return over_seeds(summary[summary["split"] == "test"])

    @property
    def icl_gap(self) -> pd.DataFrame:
        """Rows of icl_gap.csv about the whole test split."""
        return whole_test_gaps(self.tables["icl_gap"])

    @property
    def context_gaps(self) -> pd.DataFrame:
        """The same in the further contexts of teachers."""
        return context_test_gaps(self.tables["icl_gap"])


@dataclass(frozen=True)
class GroupData(FigureData):
    """The same about the members of a group, and the references in the summary."""

    subject: GroupSubject

    @property
    def test_summary(self) -> pd.DataFrame:
        own = {*self.subject.group.members, *self.subject.references}
        summary = super().test_summary
        return summary[summary["condition"].isin(own)]

    @property
    def comparisons(self) -> pd.DataFrame:
        """The group's comparisons, over all seeds and draws."""
        return over_seeds(self.each_comparison)

    @property
    def each_comparison(self) -> pd.DataFrame:
        """The group's comparisons, for each seed and draw and for all."""
        compared = self.tables["comparisons"]
        return compared[compared["group"] == self.subject.group.name]

    @property
    def drift(self) -> pd.DataFrame:
        return over_seeds(self._of_members("drift"))

    @property
    def cost(self) -> pd.DataFrame:
        """The members' costs, for each seed and draw."""
        return self._of_members("cost")

    def _of_members(self, name: str) -> pd.DataFrame:
        table = self.tables[name]
        return table[table["condition"].isin(self.subject.group.members)]


def read_figure_data(
    settings: FigureSlice, results: ResultIndex, tables: Sequence[Path], logged: ResultIndex
) -> FigureData:
    """Reads the tables and keeps what concerns the subject's model and task.

    results: names of all results. logged: runs whose training logs the figure shows.
    Raises InputError when a file is missing or malformed.
    """
    subject = subject_of(settings, results)
    own = {
        path.stem: rows_about(read_table(path), settings.model, settings.task) for path in tables
    }
    logs = read_training_logs(logged.of(settings.model, settings.task))
    if isinstance(subject, GroupSubject):
        return GroupData(subject, own, logs)
    return FigureData(subject, own, logs)


# --- shapes -------------------------------------------------------------------------------


def one_value_a_row(
    table: pd.DataFrame, keys: Sequence[str], metrics: Sequence[str]
) -> pd.DataFrame:
    """The columns `keys`, measure, value, low, high: a row for each metric with its interval.

    metrics: columns of `table` that have `_low` and `_high`.
    """
    parts = [
        table[[*keys, name, f"{name}_low", f"{name}_high"]]
        .set_axis([*keys, "value", "low", "high"], axis=1)
        .assign(measure=name)
        for name in metrics
    ]
    return pd.concat(parts, ignore_index=True)[[*keys, "measure", "value", "low", "high"]]
