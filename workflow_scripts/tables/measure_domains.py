"""Makes domains.csv: runs on a mixture, in domain and out of domain."""

from __future__ import annotations

import argparse
from pathlib import Path

from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.config.comparisons import Domain
from workflow_scripts.results.index import ResultIndex, parse_entries, read_predictions, write_table
from workflow_scripts.runtime.errors import run_entry_point
from workflow_scripts.tables.domains import domain_scores


def main() -> None:
    arguments = parse_arguments()
    table = domain_scores(
        read_predictions(ResultIndex.parse(arguments.index)),
        parse_entries(Domain, arguments.domains, "domains"),
        AnalysisSettings.model_validate_json(arguments.settings),
    )
    write_table(table, arguments.output)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="AnalysisSettings as JSON")
    parser.add_argument("--domains", required=True, help="JSON list of Domain")
    parser.add_argument("--index", required=True, help="JSON list of base results and runs")
    parser.add_argument("--output", type=Path, required=True, help="domains.csv")
    return parser.parse_args()


if __name__ == "__main__":
    run_entry_point(main)
