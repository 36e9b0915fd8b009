"""Draws one figure about a group of results, as PNG and SVG, with its data as CSV."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from workflow_scripts.config.comparisons import ComparisonGroup
from workflow_scripts.figures.data import GroupSubject, read_group_data, subject_of
from workflow_scripts.figures.registry import GROUP_FIGURES, write_figure
from workflow_scripts.results.index import ResultIndex
from workflow_scripts.runtime.errors import run_entry_point


def main() -> None:
    arguments = parse_arguments()
    index = ResultIndex.parse(arguments.index)
    names = subject_of(index, arguments.model, arguments.task, arguments.scorer)
    subject = GroupSubject(
        **vars(names),
        group=ComparisonGroup.model_validate_json(arguments.group),
        texts=json.loads(arguments.texts),
        baseline=arguments.baseline,
        values=json.loads(arguments.values),
    )
    data = read_group_data(
        subject, arguments.summary, arguments.comparisons, arguments.drift, arguments.cost
    )
    figure = GROUP_FIGURES[arguments.figure]
    write_figure(figure, data, png=arguments.png, svg=arguments.svg, csv=arguments.csv)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--figure", choices=GROUP_FIGURES, required=True, help="which figure")
    parser.add_argument("--model", required=True, help="name of the model")
    parser.add_argument("--task", required=True, help="name of the task")
    parser.add_argument("--scorer", required=True, help="of the task")
    parser.add_argument("--group", required=True, help="ComparisonGroup as JSON")
    parser.add_argument("--texts", required=True, help="JSON: member to what is said of it")
    parser.add_argument("--values", required=True, help="JSON: member to its number in a sweep")
    parser.add_argument("--baseline", required=True, help="what others are held against")
    parser.add_argument("--summary", type=Path, required=True, help="summary.csv")
    parser.add_argument("--comparisons", type=Path, required=True, help="comparisons.csv")
    parser.add_argument("--drift", type=Path, nargs="?", help="drift.csv, where it is measured")
    parser.add_argument("--cost", type=Path, nargs="?", help="cost.csv, for what shows it")
    parser.add_argument("--index", required=True, help="JSON list of base results and runs")
    parser.add_argument("--png", type=Path, required=True, help="figure to write")
    parser.add_argument("--svg", type=Path, required=True, help="figure to write")
    parser.add_argument("--csv", type=Path, required=True, help="its data, to write")
    return parser.parse_args()


if __name__ == "__main__":
    run_entry_point(main)
