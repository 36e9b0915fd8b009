"""One model on one task: its tables, figures and the names that the report uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from workflow_scripts.config.comparisons import ComparisonGroup
from workflow_scripts.report import findings
from workflow_scripts.report.document import Figure, slug
from workflow_scripts.report.setup import ReportSettings
from workflow_scripts.results import formatting as fmt
from workflow_scripts.results.index import REPLICATE
from workflow_scripts.results.table_rows import (
    context_test_gaps,
    is_pooled,
    rows_about,
    test_gaps,
    whole_test_gaps,
)

# tables with a row for each set of generated answers
_OF_AUTHORS = ("answers", "answer_examples")


@dataclass(frozen=True)
class Pair:
    """tables: of the experiment, by name; a table that is not made is absent."""

    model: str
    task: str
    settings: ReportSettings
    tables: Mapping[str, pd.DataFrame]
    figures: Sequence[Figure]

    @property
    def title(self) -> str:
        return f"{self.settings.model_label(self.model)} on {self.settings.task_label(self.task)}"

    @property
    def scores(self) -> fmt.Scores:
        """Names of the task's scores."""
        return self.settings.scores_of(self.task)

    @property
    def interval(self) -> str:
        """How a column says that its cells have an interval."""
        return f"[{fmt.percent(self.settings.analysis.confidence)} CI]"

    def id(self, *names: str) -> str:
        return slug(self.model, self.task, *names)

    def table(self, name: str) -> pd.DataFrame:
        """Rows about the pair, of every seed and draw; empty where the table is not made.

        Generated answers may be of a teacher that is another model.
        """
        table = self.tables.get(name)
        if table is None:
            names = ["model", "task", "condition", "teacher", "group", "first", *REPLICATE]
            return pd.DataFrame(columns=[*names, "sample", "split", "shots"])
        if name not in _OF_AUTHORS:
            return rows_about(table, self.model, self.task)
        teaching = [
            self.model if pd.isna(teacher) else self.settings.teaching_model(teacher, self.model)
            for teacher in table["teacher"]
        ]
        return table[(table["model"] == teaching) & (table["task"] == self.task)]

    @property
    def whole_gaps(self) -> pd.DataFrame:
        """The gap on all test items, a row for each number of demonstrations."""
        return whole_test_gaps(self.table("icl_gap")).sort_values("shots")

    @property
    def context_gaps(self) -> pd.DataFrame:
        """The same in the contexts of teachers that are more than demonstrations."""
        return context_test_gaps(self.table("icl_gap"))

    def draws(self, condition: str) -> pd.DataFrame:
        """The gap of a context in each draw of demonstrations; no rows where there is one."""
        gaps = test_gaps(self.table("icl_gap"))
        own = gaps[gaps["condition"] == condition]
        return own[own["draw"].notna() & ~is_pooled(own)]

    @property
    def trained(self) -> pd.DataFrame:
        """Comparisons in which something was trained."""
        comparisons = self.table("comparisons")
        return comparisons[comparisons["seed"].notna()]

    @property
    def groups(self) -> list[ComparisonGroup]:
        """The groups that were compared, each with the members that were."""
        return findings.present_groups(self.settings.all_groups, self.table("comparisons"))

    def name(self, result: str) -> str:
        return self.settings.result_label(result)

    def name_in(self, group: str, result: str) -> str:
        return self.settings.member_label(group, result)
