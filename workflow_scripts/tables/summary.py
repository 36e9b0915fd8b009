"""Accuracy and answer loss of every result at every step, with intervals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.results.index import (
    REPLICATE,
    RUN_KEYS,
    ResultIndex,
    by_replicate,
    read_predictions,
    write_table,
)
from workflow_scripts.results.metrics import metrics_of, metrics_over_replicates
from workflow_scripts.results.names import is_transferred
from workflow_scripts.runtime.cli import run_program

KEYS = [*RUN_KEYS, "step", "split"]


def main(settings: AnalysisSettings, index: ResultIndex, table: Path) -> None:
    """Make summary.csv from the predictions of one model on one task."""
    write_table(summarise(read_predictions(index), settings), table)


def summarise(predictions: pd.DataFrame, settings: AnalysisSettings) -> pd.DataFrame:
    """summary.csv: one row for each result, step and split.

    Accuracies have Wilson intervals, the answer loss and graded scores Student's t interval of
    the mean over items. Results with several seeds or draws have further rows with seed, draw or
    both `all`: means over them, with intervals from a bootstrap over items, seeds and draws (for
    accuracies Wilson's interval with the number of trials that the bootstrap variance amounts
    to). Transferred results have none, because each seed and draw has another step;
    comparisons.csv compares them over seeds and draws.

    predictions: as `read_predictions` returns them.
    Raises InputError when the seeds or draws of a result hold different items.
    """
    of_each = [
        dict(zip(KEYS, key, strict=True)) | metrics_of(group, settings.confidence)
        for key, group in predictions.groupby(KEYS, sort=False, dropna=False)
    ]
    over_all = [
        row
        for group in tqdm(_repeated(predictions), desc="bootstrapping", mininterval=2)
        for row in _over_all(group, settings)
    ]
    return pd.DataFrame(of_each + over_all)


def _repeated(predictions: pd.DataFrame) -> list[pd.DataFrame]:
    """Predictions by model, task, result and split, where there are several seeds or draws."""
    own = predictions[~predictions["condition"].map(is_transferred)]
    groups = own.groupby(["model", "task", "condition", "split"], sort=False)
    return [group for _, group in groups if (group[REPLICATE].nunique() > 1).any()]


def _over_all(predictions: pd.DataFrame, settings: AnalysisSettings) -> Iterator[dict[str, object]]:
    """One row for each step: means over the seeds and draws of one result on one split."""
    names = dict(predictions[["model", "task", "condition", "split"]].iloc[0])
    *_, (replicate, predictions) = by_replicate(predictions)
    for step, metrics in metrics_over_replicates(predictions, "step", settings).items():
        yield names | replicate | {"step": step} | metrics


if __name__ == "__main__":
    run_program(main)
