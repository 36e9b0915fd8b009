"""Figure: the training loss and each of its terms."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow_scripts.figures import style
from workflow_scripts.figures.data import FigureData, Subject
from workflow_scripts.results.index import LOG_COLUMNS, RUN_KEYS
from workflow_scripts.runtime.errors import InputError

_COLUMNS = 2
_SMOOTHED_SHARE = 0.05


def table(data: FigureData) -> pd.DataFrame:
    """The loss and each term of each main condition at each logged step, and its running mean.

    With several seeds or draws `value` is the mean over them.
    Raises InputError when nothing was trained.
    """
    subject, logs = data.subject, data.training_logs
    logs = logs[logs["condition"].isin(subject.main_conditions)].dropna(axis="columns", how="all")
    if logs.empty:
        raise InputError(f"{subject.model} {subject.task}: no run whose loss could be drawn")
    keys = ["model", "task", "condition", "step"]
    terms = [name for name in logs.columns if name not in {*RUN_KEYS, "shots", *LOG_COLUMNS}]
    means = logs.groupby(keys, sort=False, as_index=False)[["loss", *terms]].mean()
    long = means.melt(id_vars=keys, var_name="term").dropna(subset="value")
    curves = long.groupby(["term", "condition"], sort=False)["value"]
    return long.assign(running_mean=curves.transform(_smoothed))


def draw(table: pd.DataFrame, subject: Subject) -> Figure:
    """One panel for the loss and for each term, one line for each condition that has it."""
    terms = list(dict.fromkeys(table["term"]))
    rows = math.ceil(len(terms) / _COLUMNS)
    figure = style.new_figure(subject, "Training loss", 7.6, 0.8 + 2.7 * rows)
    grid = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    styles = style.condition_styles(subject.conditions)
    for axes, term in zip(grid, terms, strict=False):
        _draw_panel(axes, term, table[table["term"] == term], styles)
    for axes in grid[len(terms) :]:
        axes.remove()
    style.legend_below(figure, grid[0].get_legend_handles_labels()[0])
    return figure


def _draw_panel(
    axes: Axes, term: str, rows: pd.DataFrame, styles: Mapping[str, style.ConditionStyle]
) -> None:
    for condition, own in rows.groupby("condition", sort=False):
        look = styles[str(condition)]
        axes.plot(own["step"], own["value"], color=look.color, linewidth=0.7, alpha=0.3)
        axes.plot(
            own["step"],
            own["running_mean"],
            color=look.color,
            linestyle=look.line,
            label=condition,
        )
    axes.set_title("loss (weighted sum of the terms)" if term == "loss" else term)
    axes.set_xlabel("optimizer step")
    axes.set_ylabel("value (unweighted)" if term != "loss" else "value")


def _smoothed(values: pd.Series) -> pd.Series:
    """Centred running mean over a twentieth of the steps, at least three."""
    window = max(3, round(_SMOOTHED_SHARE * len(values)))
    return values.rolling(window, center=True, min_periods=1).mean()
