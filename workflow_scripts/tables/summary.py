"""Accuracy and answer loss of every result at every step, with intervals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.results.index import (
    ALL_SEEDS,
    RUN_KEYS,
    ResultIndex,
    by_item,
    read_predictions,
    write_table,
)
from workflow_scripts.results.metrics import SCORES, in_columns, metrics_of
from workflow_scripts.results.names import is_transferred
from workflow_scripts.results.statistics import (
    bootstrap_means,
    percentile_interval,
    score_interval_over_seeds,
)
from workflow_scripts.runtime.cli import run_program

KEYS = [*RUN_KEYS, "step", "split"]


def main(settings: AnalysisSettings, index: ResultIndex, table: Path) -> None:
    """Make summary.csv from the predictions of one model on one task."""
    write_table(summarise(read_predictions(index), settings), table)


def summarise(predictions: pd.DataFrame, settings: AnalysisSettings) -> pd.DataFrame:
    """summary.csv: one row for each result, step and split.

    Accuracies have Wilson intervals, the answer loss and graded scores Student's t interval of
    the mean over items. Conditions with several seeds have further rows with seed `all`: means
    over the seeds, with intervals from a bootstrap over items and seeds (for accuracies Wilson's
    interval with the number of trials that the bootstrap variance amounts to). Transferred
    results have none, because each seed has another step; comparisons.csv compares them over
    seeds.

    predictions: as `read_predictions` returns them.
    Raises InputError when the seeds of a condition hold different items.
    """
    by_seed = [
        dict(zip(KEYS, key, strict=True)) | metrics_of(group, settings.confidence)
        for key, group in predictions.groupby(KEYS, sort=False, dropna=False)
    ]
    over_seeds = [
        row
        for _, group in tqdm(
            _trained_several_times(predictions), desc="bootstrapping", mininterval=2
        )
        for row in _over_seeds(group, settings)
    ]
    return pd.DataFrame(by_seed + over_seeds)


def _trained_several_times(predictions: pd.DataFrame) -> list[tuple[object, pd.DataFrame]]:
    """Predictions by model, task, condition and split, where there are several seeds."""
    runs = predictions[~predictions["condition"].map(is_transferred)]
    groups = runs.groupby(["model", "task", "condition", "split"], sort=False)
    return [(key, group) for key, group in groups if group["seed"].nunique() > 1]


def _over_seeds(
    predictions: pd.DataFrame, settings: AnalysisSettings
) -> Iterator[dict[str, object]]:
    """One row for each step: means over the seeds of one condition on one split."""
    model, task, condition, split = predictions[["model", "task", "condition", "split"]].iloc[0]
    seeds = predictions["seed"].nunique()
    rows: dict[int, dict[str, object]] = {}
    for metric, column in _measured():
        table = by_item(predictions, column, ["step"])
        cube = table.to_numpy(dtype=float).reshape(seeds, -1, table.shape[1])
        draws = bootstrap_means(cube, settings.bootstrap_samples, settings.seed)
        for index, step in enumerate(int(step) for step in table.columns):
            values, drawn = cube[:, :, index], draws[:, index]
            interval = (
                percentile_interval(drawn, settings.confidence)
                if column == "answer_loss"
                else score_interval_over_seeds(values, drawn, settings.confidence)
            )
            row = rows.setdefault(step, {"items": cube.shape[1]})
            row |= in_columns(metric, float(values.mean()), interval)
    for step, row in rows.items():
        key = (model, task, condition, ALL_SEEDS, step, split)
        yield dict(zip(KEYS, key, strict=True)) | row


def _measured() -> list[tuple[str, str]]:
    """Names in the summary and the columns of the predictions that they are means of."""
    return [*((f"accuracy_{kind}", kind) for kind in SCORES), ("answer_loss", "answer_loss")]


if __name__ == "__main__":
    run_program(main)
