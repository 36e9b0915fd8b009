"""Draws one figure about one model and task, as PNG and SVG, with its data as CSV."""

from __future__ import annotations

import argparse
from pathlib import Path

from workflow_scripts.figures.data import read_figure_data, subject_of
from workflow_scripts.figures.registry import FIGURES, write_figure
from workflow_scripts.results.index import ResultIndex
from workflow_scripts.runtime.errors import run_entry_point


def main() -> None:
    arguments = parse_arguments()
    index = ResultIndex.parse(arguments.index)
    subject = subject_of(index, arguments.model, arguments.task, arguments.scorer)
    data = read_figure_data(subject, index, summary=arguments.summary, icl_gap=arguments.icl_gap)
    figure = FIGURES[arguments.figure]
    write_figure(figure, data, png=arguments.png, svg=arguments.svg, csv=arguments.csv)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--figure", choices=FIGURES, required=True, help="which figure")
    parser.add_argument("--model", required=True, help="name of the model")
    parser.add_argument("--task", required=True, help="name of the task")
    parser.add_argument("--scorer", required=True, help="of the task")
    parser.add_argument("--summary", type=Path, required=True, help="summary.csv")
    parser.add_argument("--icl-gap", type=Path, required=True, help="icl_gap.csv")
    parser.add_argument("--index", required=True, help="JSON list of base results and runs")
    parser.add_argument("--png", type=Path, required=True, help="figure to write")
    parser.add_argument("--svg", type=Path, required=True, help="figure to write")
    parser.add_argument("--csv", type=Path, required=True, help="its data, to write")
    return parser.parse_args()


if __name__ == "__main__":
    run_entry_point(main)
