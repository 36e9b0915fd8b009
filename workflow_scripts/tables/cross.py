"""Makes crossover.csv: the step at which each run reaches the few-shot reference."""

from __future__ import annotations

import argparse
from pathlib import Path

from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.results.index import ResultIndex, read_predictions, write_table
from workflow_scripts.runtime.errors import run_entry_point
from workflow_scripts.tables.crossover import crossover


def main() -> None:
    arguments = parse_arguments()
    settings = AnalysisSettings.model_validate_json(arguments.settings)
    predictions = read_predictions(ResultIndex.parse(arguments.index))
    write_table(crossover(predictions, settings), arguments.output)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="AnalysisSettings as JSON")
    parser.add_argument("--index", required=True, help="JSON list of base results and runs")
    parser.add_argument("--output", type=Path, required=True, help="crossover.csv")
    return parser.parse_args()


if __name__ == "__main__":
    run_entry_point(main)
