"""Makes noise.csv: what differs when the same checkpoint is evaluated twice."""

from __future__ import annotations

import argparse
from pathlib import Path

from workflow_scripts.results.index import ResultIndex, read_predictions, write_table
from workflow_scripts.runtime.errors import run_entry_point
from workflow_scripts.tables.noise import noise


def main() -> None:
    arguments = parse_arguments()
    first, second = (
        read_predictions(ResultIndex.parse(index))
        for index in (arguments.index, arguments.repeated_index)
    )
    write_table(noise(first, second), arguments.output)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--index", required=True, help="JSON list of runs, as first evaluated")
    parser.add_argument("--repeated-index", required=True, help="the same runs, evaluated again")
    parser.add_argument("--output", type=Path, required=True, help="noise.csv")
    return parser.parse_args()


if __name__ == "__main__":
    run_entry_point(main)
