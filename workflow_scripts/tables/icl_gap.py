"""The in-context gap of a base model, and whether it is large enough to study."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from pathlib import Path

import pandas as pd

from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.results.index import (
    WHOLE_SPLIT,
    ResultIndex,
    by_item,
    read_predictions,
    write_table,
)
from workflow_scripts.results.metrics import in_columns, metrics_of
from workflow_scripts.results.statistics import Interval, score_difference
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import read_json


def main(settings: AnalysisSettings, model: Path, index: ResultIndex, table: Path) -> None:
    """Make icl_gap.csv from the base model's predictions at each shot count.

    model: manifest of the model.
    """
    gaps = icl_gap_table(read_predictions(index), *size_and_dtype(model), settings)
    write_table(gaps, table)


def size_and_dtype(manifest: Path) -> tuple[int, str]:
    """Number of parameters of a model, and the dtype that it was fetched in.

    Raises InputError when its manifest does not say them.
    """
    content = read_json(manifest)
    try:
        return int(content["parameters"]), str(content["dtype"])
    except (KeyError, TypeError, ValueError):
        raise InputError(
            f"{manifest}: says no number of `parameters` or no `dtype`; delete its folder and rerun"
        ) from None


def icl_gap_table(
    predictions: pd.DataFrame, parameters: int, dtype: str, settings: AnalysisSettings
) -> pd.DataFrame:
    """Accuracy, answer loss and in-context gap of a model on a task at each shot count.

    `gap` is the strict accuracy minus that at 0 shots on the same items, with the interval of
    `score_difference`: Newcombe's for paired proportions. `sample` says which items: `all` of the
    split, or the `first-<n>` of the test split (`settings.quick_look`; no rows where it has no
    more).

    A model `qualifies` for the task when its gap on test at the largest shot count is at least
    `settings.qualifying_gap`; that is `decided` when the gap's interval lies on one side of this
    threshold. Both are the same in all rows of a sample.

    predictions: base results of one model on one task, as `read_predictions` returns them.
    parameters, dtype: of the model; a column each.
    Returns one row for each sample, split and shot count.
    Raises InputError when there is no result at 0 shots, or item sets differ.
    """
    model, task = predictions[["model", "task"]].iloc[0]
    if 0 not in set(predictions["shots"]):
        raise InputError(f"{model} {task}: no result at 0 shots, so there is no gap to measure")
    tables = [
        _sample_table(sample, items, settings)
        for sample, items in _samples(predictions, settings.quick_look)
    ]
    table = pd.concat(tables, ignore_index=True)
    for place, (name, value) in enumerate(
        {"model": model, "task": task, "parameters": parameters, "dtype": dtype}.items()
    ):
        table.insert(place, name, value)
    return table


def _samples(
    predictions: pd.DataFrame, quick_look: int | None
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Names of the samples and their predictions; the quick look has test items only."""
    yield WHOLE_SPLIT, predictions
    test = predictions[predictions["split"] == "test"]
    items = test["item"].drop_duplicates()
    if quick_look is not None and quick_look < len(items):
        yield f"first-{quick_look}", test[test["item"].isin(items.head(quick_look))]


def _sample_table(
    sample: str, predictions: pd.DataFrame, settings: AnalysisSettings
) -> pd.DataFrame:
    table = pd.DataFrame(
        [
            {"sample": sample, "shots": shots, "split": split} | measured
            for split, group in predictions.groupby("split", sort=False)
            for shots, measured in _split_rows(group, settings)
        ]
    )
    most = table[table["split"] == "test"].iloc[-1]
    threshold = settings.qualifying_gap
    return table.assign(
        qualifies=bool(most["gap"] >= threshold),
        decided=bool(most["gap_low"] >= threshold or most["gap_high"] < threshold),
    )


def _split_rows(
    predictions: pd.DataFrame, settings: AnalysisSettings
) -> Iterator[tuple[Hashable, dict[str, float]]]:
    """Each shot count and what is measured at it, fewest shots first."""
    scores = by_item(predictions.assign(seed=0), "strict", ["shots"]).astype(float)
    for shots, group in predictions.groupby("shots"):
        some, none = scores[shots].to_numpy(), scores[0].to_numpy()
        interval = score_difference(some, none, settings.confidence).interval
        if shots == 0:  # the difference to itself
            interval = Interval(0.0, 0.0)
        # the mean of the differences: a gap at the threshold must not be rounded below it
        gap = float((some - none).mean())
        yield (
            shots,
            metrics_of(group, settings.confidence) | in_columns("gap", gap, interval),
        )


if __name__ == "__main__":
    run_program(main)
