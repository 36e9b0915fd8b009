"""Draws one figure, as PNG and SVG, with its data as CSV."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
from matplotlib.figure import Figure

from workflow_scripts.config.slices import FigureSlice
from workflow_scripts.figures import style
from workflow_scripts.figures.data import FigureData, read_figure_data
from workflow_scripts.results.index import ResultIndex, write_table
from workflow_scripts.runtime.cli import run_program


class Drawing(Protocol):
    """The module of a figure, `figures/<name>.py`.

    A figure is drawn from its table alone, so that the CSV holds all of it. A figure of a
    comparison group is given a `GroupData` and its `GroupSubject`.
    """

    def table(self, data: Any) -> pd.DataFrame: ...

    def draw(self, table: pd.DataFrame, subject: Any) -> Figure: ...


def drawing_of(name: str) -> Drawing:
    # by name, so that the file of a figure is a source of no other
    return import_module(f"workflow_scripts.figures.{name}")


def write_figure(name: str, data: FigureData, png: Path, svg: Path, csv: Path) -> None:
    """Draws a figure and leaves the table that it was drawn from beside it."""
    drawing = drawing_of(name)
    table = drawing.table(data)
    with style.applied():
        style.save(drawing.draw(table, data.subject), png=png, svg=svg)
    write_table(table, csv)


def main(
    settings: FigureSlice,
    tables: list[Path],
    results: ResultIndex,
    logs: ResultIndex,
    png: Path,
    svg: Path,
    csv: Path,
) -> None:
    """Draw one figure, as PNG and SVG, with its data as CSV.

    tables: <name>.csv of each that it shows.
    results: base results and runs. logs: the same with training logs, for figures that show them.
    png, svg: figures to write.
    csv: their data, to write.
    """
    data = read_figure_data(settings, results, tables, logs)
    write_figure(settings.figure, data, png, svg, csv)


if __name__ == "__main__":
    run_program(main)
