"""The in-context gaps of all models, with the smallest model that qualifies for each task."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from workflow_scripts.results.index import read_table, write_table
from workflow_scripts.runtime.cli import run_program


def main(tables: list[Path], table: Path) -> None:
    """Gather the icl_gap.csv of every model and task."""
    gaps = pd.concat([read_table(path) for path in tables], ignore_index=True)
    write_table(with_smallest(gaps), table)


def with_smallest(table: pd.DataFrame) -> pd.DataFrame:
    """The table and `smallest_qualifying`, marked in the rows of that model.

    For each task and sample it is the model with the fewest parameters among those that qualify;
    models of equal size are all marked.

    table: what `icl_gap_table` returned for every model and task, one below the other.
    """
    rivals = table["parameters"].where(table["qualifies"])
    fewest = rivals.groupby([table["task"], table["sample"]]).transform("min")
    return table.assign(smallest_qualifying=rivals == fewest)


if __name__ == "__main__":
    run_program(main)
