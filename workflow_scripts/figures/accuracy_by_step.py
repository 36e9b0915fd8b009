"""Figure: test accuracy of every checkpoint."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from workflow_scripts.figures import style
from workflow_scripts.figures.by_step import by_step, draw_by_step
from workflow_scripts.figures.data import FigureData, Subject


def table(data: FigureData) -> pd.DataFrame:
    """Strict and flexible accuracy by step; see `by_step`."""
    return by_step(data, ["accuracy_strict", "accuracy_flexible"])


def draw(table: pd.DataFrame, subject: Subject) -> Figure:
    """Strict and flexible test accuracy by optimizer step, with references and bands."""
    figure = style.new_figure(subject, f"Test {subject.scores.noun}", 7.6, 4.0)
    panels = figure.subplots(1, 2, sharey=True)
    strict, flexible, noun = subject.scores
    for axes, kind, name in zip(panels, ("strict", "flexible"), (strict, flexible), strict=True):
        draw_by_step(axes, table, subject, f"accuracy_{kind}")
        axes.set_title(name)
    style.percent_axis(panels[0])
    panels[0].set_ylabel(noun)
    style.legend_below(figure, panels[0].get_legend_handles_labels()[0])
    return figure
