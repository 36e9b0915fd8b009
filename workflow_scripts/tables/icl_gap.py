"""The in-context gap of a base model, and whether it is large enough to study."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.results.index import (
    WHOLE_SPLIT,
    ResultIndex,
    by_item,
    by_replicate,
    cube_of,
    for_each_replicate,
    is_shot_count,
    read_predictions,
    write_table,
)
from workflow_scripts.results.metrics import in_columns, metrics_of, metrics_over_replicates
from workflow_scripts.results.statistics import Interval, replicated_difference
from workflow_scripts.runtime.checksums import checked
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import read_json

_WITHOUT = "0-shot"


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
    content = read_json(checked(manifest))
    try:
        return int(content["parameters"]), str(content["dtype"])
    except (KeyError, TypeError, ValueError):
        raise InputError(
            f"{manifest}: says no number of `parameters` or no `dtype`; delete its folder and rerun"
        ) from None


def icl_gap_table(
    predictions: pd.DataFrame, parameters: int, dtype: str, settings: AnalysisSettings
) -> pd.DataFrame:
    """Accuracy, answer loss and in-context gap of a model on a task in each context.

    A context (`condition`) is a number of demonstrations, `<k>-shot`, or that of a teacher with
    more than demonstrations. `gap` is the strict accuracy minus that at 0 shots on the same items,
    with the interval of `score_difference`: Newcombe's for paired proportions. A context with
    several draws of demonstrations has a row for each `draw`, and one of `all`: means over the
    draws, with the gap's interval by `crossed_difference` and others as in the summary. `sample`
    says which items: `all` of the split, or the `first-<n>` of the test split
    (`settings.quick_look`; no rows where it has no more).

    A model `qualifies` for the task when its gap on test at the largest shot count, over all draws,
    is at least `settings.qualifying_gap`; that is `decided` when the gap's interval lies on one
    side of this threshold. Both are the same in all rows of a sample. Where nothing but 0 shots is
    shown, they are about the teacher whose gap is the largest.

    predictions: base results of one model on one task, as `read_predictions` returns them.
    parameters, dtype: of the model; a column each.
    Returns one row for each sample, split, context and draw; contexts of teachers are the last.
    Raises InputError when there is no result at 0 shots, or item sets differ.
    """
    model, task = predictions[["model", "task"]].iloc[0]
    if _WITHOUT not in set(predictions["condition"]):
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
            {"sample": sample} | context | {"split": split} | measured
            for split, group in predictions.groupby("split", sort=False)
            for context, measured in _split_rows(group, settings)
        ]
    )
    most = _deciding(table[table["split"] == "test"])
    threshold = settings.qualifying_gap
    return table.assign(
        qualifies=bool(most["gap"] >= threshold),
        decided=bool(most["gap_low"] >= threshold or most["gap_high"] < threshold),
    )


def _deciding(test: pd.DataFrame) -> pd.Series:
    """The row that says whether the model qualifies; rows of all draws come after those of each."""
    of_shots = test["condition"].map(is_shot_count)
    most = test[of_shots].iloc[-1]
    teachers = test[~of_shots].drop_duplicates("condition", keep="last")
    if most["shots"] > 0 or teachers.empty:
        return most
    return teachers.sort_values("gap", kind="stable").iloc[-1]


def _split_rows(
    predictions: pd.DataFrame, settings: AnalysisSettings
) -> Iterator[tuple[dict[str, object], dict[str, float]]]:
    """Each context and what is measured in it, fewest shots first, then those of teachers."""
    predictions = predictions.assign(teacher=~predictions["condition"].map(is_shot_count))
    none = predictions[predictions["condition"] == _WITHOUT]
    for (_, shots, condition), group in predictions.groupby(["teacher", "shots", "condition"]):
        for replicate, own in by_replicate(group):
            context = {"condition": condition, "shots": shots, "draw": replicate["draw"]}
            yield context, _metrics(own, settings) | _gap(own, none, settings.confidence)


def _metrics(own: pd.DataFrame, settings: AnalysisSettings) -> dict[str, float]:
    """own: of one context, in one draw or in several."""
    if own["draw"].nunique() == 1:
        return metrics_of(own, settings.confidence)
    (metrics,) = metrics_over_replicates(own, "condition", settings).values()
    return metrics


def _gap(own: pd.DataFrame, none: pd.DataFrame, confidence: float) -> dict[str, float]:
    """own: of one context, in one draw or in several. none: without demonstrations."""
    sides = pd.concat([own.assign(side="some"), none.assign(side="none")], ignore_index=True)
    scores = by_item(for_each_replicate(sides), "strict", ["side"])[["some", "none"]]
    some, without = np.moveaxis(cube_of(scores), -1, 0)
    if own["condition"].iloc[0] == _WITHOUT:  # the difference to itself
        interval = Interval(0.0, 0.0)
    else:
        interval = replicated_difference(some, without, confidence).interval
    # the mean of the differences: a gap at the threshold must not be rounded below it
    return in_columns("gap", float((some - without).mean()), interval)


if __name__ == "__main__":
    run_program(main)
