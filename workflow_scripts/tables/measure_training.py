"""Makes optimisation.csv: how much of the in-context gap training closed, and how steadily."""

from __future__ import annotations

import argparse
from pathlib import Path

from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.results.index import (
    ResultIndex,
    read_predictions,
    read_training_logs,
    write_table,
)
from workflow_scripts.runtime.errors import run_entry_point
from workflow_scripts.tables.optimisation import optimisation


def main() -> None:
    arguments = parse_arguments()
    settings = AnalysisSettings.model_validate_json(arguments.settings)
    index = ResultIndex.parse(arguments.index)
    table = optimisation(read_predictions(index), read_training_logs(index), settings)
    write_table(table, arguments.output)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="AnalysisSettings as JSON")
    parser.add_argument("--index", required=True, help="JSON list of base results and runs")
    parser.add_argument("--output", type=Path, required=True, help="optimisation.csv")
    return parser.parse_args()


if __name__ == "__main__":
    run_entry_point(main)
