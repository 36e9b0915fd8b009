"""Every figure: its name and the module that makes its table and draws it.

To add a figure, write one module with `table` and `draw`, one caption of the figure's name in
`captions/`, and one entry here. A figure of groups is named in `settings.GroupFigure` as well.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import pandas as pd
from matplotlib.figure import Figure

from workflow_scripts.figures import (
    accuracy_by_step,
    accuracy_by_value,
    answer_loss_by_step,
    drift,
    forest_plot,
    icl_gap,
    loss_curves,
    memory_by_value,
    style,
    teacher_distance,
)
from workflow_scripts.figures.data import FigureData, GroupData, GroupSubject, Subject
from workflow_scripts.results.index import write_table


class PairFigure(Protocol):
    """A figure about one model and task.

    What is drawn comes from the table alone, so that the CSV holds all of it.
    """

    def table(self, data: FigureData) -> pd.DataFrame: ...

    def draw(self, table: pd.DataFrame, subject: Subject) -> Figure: ...


class GroupFigure(Protocol):
    """A figure about a group of results of one model on one task."""

    def table(self, data: GroupData) -> pd.DataFrame: ...

    def draw(self, table: pd.DataFrame, subject: GroupSubject) -> Figure: ...


FIGURES: dict[str, PairFigure] = {
    "icl_gap": icl_gap,
    "loss_curves": loss_curves,
    "accuracy_by_step": accuracy_by_step,
    "answer_loss_by_step": answer_loss_by_step,
}
GROUP_FIGURES: dict[str, GroupFigure] = {
    "forest_plot": forest_plot,
    "accuracy_by_value": accuracy_by_value,
    "memory_by_value": memory_by_value,
    "teacher_distance": teacher_distance,
    "drift": drift,
}


def write_figure(
    figure: PairFigure | GroupFigure, data: Any, png: Path, svg: Path, csv: Path
) -> None:
    """Draws a figure of its data and leaves the table that was drawn beside it."""
    table = figure.table(data)
    with style.applied():
        style.save(figure.draw(table, data.subject), png=png, svg=svg)
    write_table(table, csv)
