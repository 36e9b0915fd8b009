"""Which figures there are, what each of them shows, and its caption."""

from __future__ import annotations

from functools import cached_property
from itertools import product
from pathlib import Path

from workflow_scripts.config.comparisons import ComparisonGroup
from workflow_scripts.config.figures import (
    BY_LAYER,
    FIGURES,
    GROUP_FIGURES,
    PAIR_FIGURES,
    TRAINING_LOG,
    FigureRow,
    GroupFigure,
)
from workflow_scripts.results.names import is_transferred
from workflow_scripts.study.comparison_groups import ComparisonGroups
from workflow_scripts.study.layout import FIGURE_KINDS
from workflow_scripts.study.results import Result, RunStates

_CAPTIONS = Path(__file__).parents[1] / "figures/captions"


class Catalog:
    """The figures of an experiment."""

    def __init__(self, groups: ComparisonGroups) -> None:
        self.groups = groups
        self.matrix = groups.matrix
        self.experiment = groups.experiment
        self.layout = groups.matrix.layout

    # figures

    @property
    def figures(self) -> list[str]:
        """The files of every figure."""
        return [file for kinds in self._figures for file in kinds]

    def figures_as(self, kind: str) -> list[str]:
        return [kinds[FIGURE_KINDS.index(kind)] for kinds in self._figures]

    @cached_property
    def _figures(self) -> list[list[str]]:
        """The files of each figure, one of each kind."""
        pairs = product(self.experiment.models, self.experiment.tasks)
        return [
            [self.layout.figure(kind, *pair, figure) for kind in FIGURE_KINDS]
            for pair in pairs
            for figure in self.figures_of(*pair)
        ]

    def figures_of(self, model: str, task: str) -> list[str]:
        """Names of the figures of the model on the task; `<group>/<name>` of a group."""
        # without training there are no steps to draw by
        there_are = {
            "results": self.matrix.base_results_of(model, task),
            "runs": self.matrix.conditions_of(model, task),
        }
        figures = [name for name, row in PAIR_FIGURES.items() if there_are[row.needs]]
        for group in self.groups.of_pair(model, task):
            names = self.group_figures(model, task, group)
            figures += [f"{group.name}/{name}" for name in names]
        return figures

    def group_figures(self, model: str, task: str, group: ComparisonGroup) -> list[GroupFigure]:
        """The figures of a group that its members have something for.

        A figure of hidden states needs a member that is trained on the task, a figure by value two
        members with numbers. Transferred members have no costs.
        """
        numbers = self.groups.swept_values(group.members, task)
        with_costs = [member for member in numbers if not is_transferred(member)]
        trained = set(group.members) & set(self.matrix.conditions_of(model, task))

        def is_possible(row: FigureRow) -> bool:
            counted = with_costs if "cost" in row.tables else numbers
            return {"results": True, "runs": bool(trained), "numbers": len(counted) > 1}[row.needs]

        wanted = self.groups.all[group.name].figures
        return [name for name in wanted if is_possible(GROUP_FIGURES[name])]

    def figure_tables(self, model: str, task: str, figure: str) -> list[str]:
        """The tables that a figure is drawn from."""
        tables = _row_of(figure).tables
        return [self.layout.pair(f"{t}.csv", model, task) for t in tables if t != TRAINING_LOG]

    def figure_logs(self, model: str, task: str, figure: str) -> tuple[Result, ...]:
        """The results whose training logs a figure shows."""
        shown = TRAINING_LOG in _row_of(figure).tables
        return self.matrix.results_of(model, task) if shown else ()

    # what figures by layer need

    def represented_conditions(self, model: str, task: str) -> list[str]:
        """Trained conditions whose hidden states are measured: those that a figure shows by layer.

        All of them where no group asks for such a figure; none without `representations`.
        """
        if self.experiment.representations is None:
            return []
        groups = self.groups.all.values()
        shown = [group for group in groups if set(BY_LAYER) & set(group.figures)]
        members = {name for group in shown for name in group.members}
        return [
            name
            for name in self.matrix.conditions_of(model, task)
            if self.experiment.conditions[name].head == "language"
            and (not shown or name in members or name == self.experiment.analysis.baseline)
        ]

    def states_of(self, model: str, task: str) -> tuple[RunStates, ...]:
        """The hidden states that are measured."""
        conditions = self.represented_conditions(model, task)
        return tuple(
            RunStates(r.layout, r.model, r.task, r.condition, r.seed, r.support, r.draw)
            for r in self.matrix.runs_of(model, task)
            if r.condition in conditions
        )

    # captions and labels

    @property
    def figure_captions(self) -> list[Path]:
        return [_caption(name) for name in sorted(FIGURES)]

    def figure_caption(self, figure: str) -> str:
        return _caption(figure.rpartition("/")[2]).read_text()

    def figure_group(self, figure: str) -> str:
        """The comparison group that a figure is about, or an empty text."""
        return figure.rpartition("/")[0]

    def figure_labels(self, figure: str, model: str, task: str) -> dict[str, str]:
        """How Snakemake's report names a figure."""
        return {
            "figure": figure.rpartition("/")[2].replace("_", " "),
            "model": self.experiment.models[model].label or model,
            "task": self.experiment.tasks[task].label or task,
        }


def _row_of(figure: str) -> FigureRow:
    """figure: a name, or `<group>/<name>`."""
    return FIGURES[figure.rpartition("/")[2]]


def _caption(name: str) -> Path:
    return _CAPTIONS / f"{name}.rst"
