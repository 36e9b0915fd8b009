"""Makes drift.csv and drift_comparisons.csv: how far training moved the hidden states."""

from __future__ import annotations

import argparse
from pathlib import Path

from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.results.index import parse_entries, write_table
from workflow_scripts.runtime.errors import run_entry_point
from workflow_scripts.tables.drift import RepresentationEntry, measure_drift


def main() -> None:
    arguments = parse_arguments()
    settings = AnalysisSettings.model_validate_json(arguments.settings)
    entries = parse_entries(RepresentationEntry, arguments.index)
    drift, comparisons = measure_drift(entries, settings)
    write_table(drift, arguments.output)
    write_table(comparisons, arguments.comparisons)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="AnalysisSettings as JSON")
    parser.add_argument("--index", required=True, help="JSON list of the runs' representations")
    parser.add_argument("--output", type=Path, required=True, help="drift.csv")
    parser.add_argument("--comparisons", type=Path, required=True, help="drift_comparisons.csv")
    return parser.parse_args()


if __name__ == "__main__":
    run_entry_point(main)
