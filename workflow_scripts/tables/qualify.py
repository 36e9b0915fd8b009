"""Puts the in-context gaps together and marks the smallest model that qualifies for each task."""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from workflow_scripts.results.index import read_table, write_table
from workflow_scripts.runtime.errors import run_entry_point
from workflow_scripts.tables.icl_gap import with_smallest


def main() -> None:
    arguments = parse_arguments()
    gaps = pd.concat([read_table(path) for path in arguments.tables], ignore_index=True)
    write_table(with_smallest(gaps), arguments.output)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--tables", type=Path, nargs="+", required=True, help="icl_gap.csv of each pair"
    )
    parser.add_argument("--output", type=Path, required=True, help="icl_gap.csv of all of them")
    return parser.parse_args()


if __name__ == "__main__":
    run_entry_point(main)
