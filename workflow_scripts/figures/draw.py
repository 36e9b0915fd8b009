"""Draws one figure, as PNG and SVG, with its data as CSV."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
from matplotlib.figure import Figure

from workflow_scripts.config.slices import FigureSlice
from workflow_scripts.figures import style
from workflow_scripts.figures.data import FigureData, read_figure_data
from workflow_scripts.results.index import ResultIndex, write_table
from workflow_scripts.runtime.errors import run_entry_point


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


def main() -> None:
    arguments = parse_arguments()
    settings = FigureSlice.model_validate_json(arguments.settings)
    results, logs = map(ResultIndex.parse, (arguments.results, arguments.logs))
    data = read_figure_data(settings, results, arguments.tables, logs)
    write_figure(settings.figure, data, arguments.png, arguments.svg, arguments.csv)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="FigureSlice as JSON")
    parser.add_argument("--tables", type=Path, nargs="*", required=True, help="<name>.csv of each")
    parser.add_argument("--results", required=True, help="JSON list of base results and runs")
    parser.add_argument("--logs", required=True, help="the same with training logs, for some")
    parser.add_argument("--png", type=Path, required=True, help="figure to write")
    parser.add_argument("--svg", type=Path, required=True, help="figure to write")
    parser.add_argument("--csv", type=Path, required=True, help="its data, to write")
    return parser.parse_args()


if __name__ == "__main__":
    run_entry_point(main)
