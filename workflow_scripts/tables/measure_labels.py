"""Makes labels.csv: how good each result is on the items of each correct label."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.results.index import ResultIndex, read_predictions, write_table
from workflow_scripts.runtime.errors import run_entry_point
from workflow_scripts.tables.labels import accuracy_by_label
from workflow_scripts.tasks.examples import read_examples


def main() -> None:
    arguments = parse_arguments()
    table = accuracy_by_label(
        read_predictions(ResultIndex.parse(arguments.index)),
        {example.item: example.answer for example in read_examples(arguments.examples)},
        json.loads(arguments.labels),
        AnalysisSettings.model_validate_json(arguments.settings),
    )
    write_table(table, arguments.output)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="AnalysisSettings as JSON")
    parser.add_argument("--labels", required=True, help="JSON list of the task's labels")
    parser.add_argument("--index", required=True, help="JSON list of base results and runs")
    parser.add_argument("--examples", type=Path, required=True, help="test.parquet of the task")
    parser.add_argument("--output", type=Path, required=True, help="labels.csv")
    return parser.parse_args()


if __name__ == "__main__":
    run_entry_point(main)
