"""The cost of training and of inference."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from workflow_scripts.results.index import (
    COST_SETUP,
    RUN_KEYS,
    ResultIndex,
    read_costs,
    write_table,
)
from workflow_scripts.runtime.cli import run_program

COLUMNS = [
    *RUN_KEYS,
    "phase",
    "support",
    *COST_SETUP,
    "wall_seconds",
    "cpu_seconds",
    "mean_rss_mb",
    "peak_rss_mb",
    "peak_gpu_mb",
    "tokens",
    "answers",
    "cpu_seconds_per_answer",
]


def main(index: ResultIndex, table: Path) -> None:
    """Make cost.csv."""
    write_table(cost_table(index), table)


def cost_table(index: ResultIndex) -> pd.DataFrame:
    """cost.csv: one row for each run and phase, and for each base result, which is not trained.

    Processor (the GPU where there is one), threads (missing on a GPU), processes and dtype; wall
    and CPU seconds and memory in MiB. `tokens` were seen in training; `answers` were given at
    inference, and `cpu_seconds_per_answer` is of these.

    Raises InputError as `read_costs`.
    """
    table = read_costs(index).reindex(columns=COLUMNS)
    per_answer = table["cpu_seconds"] / table["answers"].astype("Float64")
    counts = dict.fromkeys(("support", "tokens", "answers"), "Int64")
    return table.assign(cpu_seconds_per_answer=per_answer).astype(counts)


if __name__ == "__main__":
    run_program(main)
