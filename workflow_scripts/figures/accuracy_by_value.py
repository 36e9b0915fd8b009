"""Figure: test accuracy of a group's members by the number that a sweep varies."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from workflow_scripts.figures import style
from workflow_scripts.figures.by_value import (
    by_value,
    draw_by_value,
    legend_of,
    new_figure,
)
from workflow_scripts.figures.data import GroupData, GroupSubject
from workflow_scripts.results.table_rows import chosen_results
from workflow_scripts.runtime.errors import InputError


def table(data: GroupData) -> pd.DataFrame:
    """Strict accuracy on test at the chosen checkpoint with its interval; see `by_value`.

    Raises InputError when no member has a number.
    """
    subject = data.subject
    names = {"condition": "member", "accuracy": "value"}
    names |= {f"accuracy_{end}": end for end in ("low", "high")}
    rows = by_value(chosen_results(data.comparisons).rename(columns=names), subject)
    if rows["number"].isna().all():
        group = f"{subject.model} {subject.task}: group {subject.group.name}"
        raise InputError(f"{group}: no member has a number that a sweep varies")
    return rows


def draw(table: pd.DataFrame, subject: GroupSubject) -> Figure:
    """A line for each recipe; level lines for members without a number."""
    figure = new_figure(subject, f"{subject.scores.strict} on test", panels=1)
    axes = figure.subplots()
    draw_by_value(axes, table, table["number"].dropna(), subject)
    axes.set_ylabel(subject.scores.strict)
    style.percent_axis(axes)
    style.legend_below(figure, legend_of(table, subject))
    return figure
