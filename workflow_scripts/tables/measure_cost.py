"""Makes cost.csv: what training each result and answering with it cost."""

from __future__ import annotations

import argparse
from pathlib import Path

from workflow_scripts.results.index import ResultIndex, write_table
from workflow_scripts.runtime.errors import run_entry_point
from workflow_scripts.tables.costs import cost_table


def main() -> None:
    arguments = parse_arguments()
    write_table(cost_table(ResultIndex.parse(arguments.index)), arguments.output)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--index", required=True, help="JSON list of base results and runs")
    parser.add_argument("--output", type=Path, required=True, help="cost.csv")
    return parser.parse_args()


if __name__ == "__main__":
    run_entry_point(main)
