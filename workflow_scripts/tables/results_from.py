"""Where results come from that were made elsewhere."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from workflow_scripts.results.index import ResultIndex, write_table
from workflow_scripts.runtime.checksums import checked
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.files import read_json

COLUMNS = [
    *("model", "task", "condition", "seed"),
    *("file", "format", "metric", "items", "matched", "by", "note"),
]


def main(index: ResultIndex, table: Path) -> None:
    """Make results_from.csv."""
    write_table(origins(index), table)


def origins(index: ResultIndex) -> pd.DataFrame:
    """results_from.csv: one row for each file of a foreign result, as `import_results` told it."""
    rows = [
        entry.model_dump(include={"model", "task", "condition", "seed"})
        | read_json(checked(entry.origin))
        for entry in index.entries
        if entry.origin is not None
    ]
    return pd.DataFrame(rows, columns=COLUMNS).astype({"seed": "Int64"})


if __name__ == "__main__":
    run_program(main)
