"""Puts the tables of every model and task one below the other."""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from workflow_scripts.runtime.errors import run_entry_point
from workflow_scripts.runtime.files import atomic_file


def main() -> None:
    arguments = parse_arguments()
    # cells are copied as text, so that every number stays as its table wrote it
    tables = [pd.read_csv(path, dtype=str, keep_default_na=False) for path in arguments.tables]
    with atomic_file(arguments.output) as partial:
        pd.concat(tables).to_csv(partial, index=False)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=Path, nargs="+", required=True)
    parser.add_argument("--output", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    run_entry_point(main)
