"""Concatenates the tables of all models and tasks."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from workflow_scripts.results.index import write_table
from workflow_scripts.runtime.checksums import checked
from workflow_scripts.runtime.cli import run_program


def main(tables: list[Path], table: Path) -> None:
    """Concatenate the tables of all models and tasks."""
    # cells are copied as text, so that every number stays as its table wrote it
    read = [pd.read_csv(checked(path), dtype=str, keep_default_na=False) for path in tables]
    write_table(pd.concat(read), table)


if __name__ == "__main__":
    run_program(main)
