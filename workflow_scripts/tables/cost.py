"""The cost of training and of inference."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from workflow_scripts.results.index import RUN_KEYS, ResultIndex, read_costs, write_table
from workflow_scripts.runtime.cli import run_program

COLUMNS = [
    *RUN_KEYS,
    "phase",
    "support",
    "wall_seconds",
    "user_seconds",
    "system_seconds",
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

    Seconds, CPU seconds (user and system) and memory in MiB. `tokens` were seen in training;
    `answers` were given at inference, and `cpu_seconds_per_answer` is of these.

    Raises InputError as `read_costs`.
    """
    table = read_costs(index).reindex(columns=COLUMNS)
    cpu = table["user_seconds"] + table["system_seconds"]
    counts = dict.fromkeys(("support", "tokens", "answers"), "Int64")
    return table.assign(
        cpu_seconds=cpu, cpu_seconds_per_answer=cpu / table["answers"].astype("Float64")
    ).astype(counts)


if __name__ == "__main__":
    run_program(main)
