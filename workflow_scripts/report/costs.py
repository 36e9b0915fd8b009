"""What results cost, training and inference side by side."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from workflow_scripts.results import formatting as fmt
from workflow_scripts.results.index import INFERENCE, TRAINING


def cost_rows(costs: pd.DataFrame) -> Iterator[tuple[str, dict[str, str]]]:
    """Each result with its cells: means over seeds, and peaks of memory over all of them.

    costs: rows of cost.csv about one model and task. Cells of what a result has not are empty.
    """
    for result, own in costs.groupby("condition", sort=False):
        training, inference = (own[own["phase"] == phase] for phase in (TRAINING, INFERENCE))
        answers = inference["answers"]
        yield (
            str(result),
            {
                "labelled examples": _written(own["support"].iloc[:1]),
                "training, s": _written(training["wall_seconds"]),
                "training, CPU s": _written(training["cpu_seconds"]),
                "training, MiB": _peak(training, "peak_rss_mb"),
                "training, GPU MiB": _peak(training, "peak_gpu_mb"),
                "tokens": _written(training["tokens"]),
                "inference, ms an answer": _written(1000 * inference["wall_seconds"] / answers),
                "inference, CPU ms": _written(1000 * inference["cpu_seconds_per_answer"]),
                "inference, MiB": _peak(inference, "peak_rss_mb"),
                "inference, GPU MiB": _peak(inference, "peak_gpu_mb"),
            },
        )


def _written(values: pd.Series) -> str:
    """Their mean: whole, or two significant digits of a small one; nothing of none."""
    mean = values.mean()
    if pd.isna(mean):
        return ""
    return fmt.whole(mean) if mean >= 10 or mean == 0 else f"{mean:.2g}"


def _peak(costs: pd.DataFrame, column: str) -> str:
    peak = costs[column].max()
    return fmt.whole(peak) if peak > 0 else ""
