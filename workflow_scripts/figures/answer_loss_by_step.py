"""Figure: test answer loss of every checkpoint."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from workflow_scripts.figures import style
from workflow_scripts.figures.by_step import by_step, draw_by_step
from workflow_scripts.figures.data import FigureData, Subject


def table(data: FigureData) -> pd.DataFrame:
    """Answer loss by step; see `by_step`."""
    return by_step(data, ["answer_loss"])


def draw(table: pd.DataFrame, subject: Subject) -> Figure:
    """Mean test answer loss by optimizer step, with references and bands."""
    figure = style.new_figure(subject, "Test answer loss", 6.4, 4.2)
    axes = figure.subplots()
    draw_by_step(axes, table, subject, "answer_loss")
    axes.set_ylabel("nats")
    style.legend_below(figure, axes.get_legend_handles_labels()[0])
    return figure
