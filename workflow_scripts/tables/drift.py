"""Drift of hidden states: how far training moved them, and how near to the teacher's.

Drift is 1 - cosine to the base model's state at the same place.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd
from statsmodels.stats.weightstats import DescrStatsW
from tqdm import tqdm

from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.config.base import Name, Strict
from workflow_scripts.results.index import (
    REPLICATE,
    by_item,
    cube_of,
    for_each_replicate,
    name_of,
    read_table,
    together,
    write_table,
)
from workflow_scripts.results.metrics import columns_of, in_columns
from workflow_scripts.results.statistics import (
    Difference,
    Floats,
    Interval,
    crossed_difference,
    crossed_differences,
    holm,
    paired_mean_difference,
)
from workflow_scripts.runtime.checksums import checked
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.tables.verdicts import verdict_of_amount

ALL_LAYERS = "all"
METRICS = ("drift", "teacher_distance")
PLACE = ["step", "position", "layer"]
COLUMNS = [
    "model",
    "task",
    "condition",
    *REPLICATE,
    *PLACE,
    "items",
    "rows",
    *columns_of("drift"),
    "cka",
    "svcca",
    "svcca_dimensions",
    *columns_of("teacher_distance"),
    "note",
]
COMPARISON_COLUMNS = [
    "model",
    "task",
    "position",
    "first",
    "second",
    *REPLICATE,
    "layer",
    "step",
    "items",
    "first_drift",
    "second_drift",
    *columns_of("difference"),
    "p",
    "p_holm",
    "verdict",
    "note",
]


class RepresentationEntry(Strict):
    """Files about the hidden states of one run. draw: None where it is the same in each."""

    model: Name
    task: Name
    condition: Name
    seed: int
    draw: int | None = None
    representations: Path
    similarity: Path


def main(
    settings: AnalysisSettings, index: list[RepresentationEntry], table: Path, comparisons: Path
) -> None:
    """Make drift.csv and drift_comparisons.csv.

    table, comparisons: the two tables to write.
    """
    drift, compared = measure_drift(index, settings)
    write_table(drift, table)
    write_table(compared, comparisons)


def measure_drift(
    entries: Sequence[RepresentationEntry], settings: AnalysisSettings
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """drift.csv and drift_comparisons.csv.

    The first has a row for each run, step, position and layer: means over items, with Student's t
    interval; with several seeds or draws also rows with seed, draw or both `all`, with the interval
    of `crossed_difference` and the means of CKA and SVCCA.

    The second compares each condition with `settings.baseline`, each at its own last step (`step`
    is the condition's), paired over items, at each layer and for the mean over layers (`all`);
    difference is the condition minus the baseline. For a seed and draw by a paired t test over
    items, for `all` by `crossed_differences`; a condition without draws is compared in each draw of
    the others. `p_holm` corrects the rows of layer `all` for the number of
    conditions and positions, and, apart from them, those of single layers for the number of layers
    of a condition and position.

    entries: of one model on one task, a condition's runs one after another. Runs of one
    condition are held in memory at a time.
    Raises InputError naming the runs whose files are missing, the file that is malformed, or the
    runs that hold different items or layers.
    """
    _refuse_missing(entries)
    tables = [pd.DataFrame(columns=COLUMNS)]
    last: dict[str, dict[str, pd.DataFrame]] = {}
    conditions = [(name, list(runs)) for name, runs in groupby(entries, lambda run: run.condition)]
    for condition, runs in tqdm(conditions, desc="measuring drift", mininterval=2):
        items = _together(_with_key(_read_items(run.representations), run) for run in runs)
        similarity = _together(_with_key(read_table(run.similarity), run) for run in runs)
        last[condition] = {}
        for position, own in items.groupby("position", sort=False):
            drift = by_item(own, "drift", ["step", "layer"])
            # in the same order; all missing where the teacher has no demonstrations
            distance = own.pivot(
                index=drift.index.names, columns=["step", "layer"], values="teacher_distance"
            )
            alike = similarity[similarity["position"] == position]
            table = _drift_of(drift, distance, alike, _draws(runs), settings.confidence)
            tables.append(table.assign(**_names(runs[0]), condition=condition, position=position))
            last[condition][str(position)] = _at_last_step(drift)
    drift_table = pd.concat([table for table in tables if len(table)] or tables)
    comparisons = _compared(last, _draws(entries), settings)
    if len(comparisons):
        comparisons = comparisons.assign(**_names(entries[0]))
    return drift_table[COLUMNS], comparisons


# --- reading ------------------------------------------------------------------------------


def _refuse_missing(entries: Sequence[RepresentationEntry]) -> None:
    missing = [
        name_of(entry.condition, entry.seed, entry.draw)
        for entry in entries
        if not (entry.representations.exists() and entry.similarity.exists())
    ]
    if missing:
        raise InputError(
            f"{entries[0].model} {entries[0].task}: no representations of {', '.join(missing)}; "
            "run snakemake again, which makes them"
        )


def _read_items(path: Path) -> pd.DataFrame:
    checked(path)
    try:
        return pd.read_parquet(path, columns=["item", *PLACE, *METRICS])
    except (ValueError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: not representations ({reason}); delete it and rerun") from None


def _with_key(table: pd.DataFrame, entry: RepresentationEntry) -> pd.DataFrame:
    draw = pd.array([entry.draw] * len(table), dtype="Int64")
    return table.assign(**_names(entry), seed=entry.seed, draw=draw)


def _together(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """The tables of one condition, with a draw in every row."""
    return for_each_replicate(pd.concat(tables, ignore_index=True))


def _draws(entries: Sequence[RepresentationEntry]) -> list[int]:
    return sorted({entry.draw for entry in entries if entry.draw is not None})


def _names(entry: RepresentationEntry) -> dict[str, str]:
    return {"model": entry.model, "task": entry.task}


# --- drift.csv ----------------------------------------------------------------------------


def _drift_of(
    drift: pd.DataFrame,
    distance: pd.DataFrame,
    similarity: pd.DataFrame,
    draws: Sequence[int],
    confidence: float,
) -> pd.DataFrame:
    """Rows of one condition at one position, for each seed and draw and for all of several.

    drift, distance: rows of (draw, seed, item), columns of (step, layer).
    similarity: rows of similarity.csv with their seeds and draws.
    draws: of the condition; none where it is the same in each.
    """
    places = drift.columns
    seeds = list(drift.index.unique("seed"))
    runs = ["draw", "seed"]
    alike = {
        name: similarity.pivot(index=runs, columns=["step", "layer"], values=name)[places]
        for name in ("rows", "cka", "svcca", "svcca_dimensions", "note")
    }
    numbers = np.arange(max(len(draws), 1) * len(seeds)).reshape(-1, len(seeds))
    tables = []
    for replicate, chosen in _by_replicate(seeds, draws):
        table = pd.DataFrame(index=places).assign(**replicate, items=len(drift) // numbers.size)
        for metric, values in zip(METRICS, (drift, distance), strict=True):
            cube = cube_of(values)[chosen]
            table[metric] = cube.mean(axis=(0, 1, 2))
            table[f"{metric}_low"], table[f"{metric}_high"] = _intervals(cube, confidence)
        own = {name: values.iloc[numbers[chosen].ravel()] for name, values in alike.items()}
        for metric in ("cka", "svcca"):
            table[metric] = own[metric].to_numpy(dtype=float).mean(axis=0)
        for count in ("rows", "svcca_dimensions"):
            table[count] = own[count].max()
        # where runs have different notes, the first
        table["note"] = own["note"].bfill().iloc[0]
        tables.append(table.reset_index())
    return pd.concat(tables, ignore_index=True)


def _by_replicate(
    seeds: Sequence[int], draws: Sequence[int]
) -> Iterator[tuple[dict[str, str | None], tuple[slice, slice]]]:
    """Each draw and seed, and all of them where there are several: columns, and places in cubes."""
    for place, draw in enumerate(draws or [None]):
        for number, seed in enumerate(seeds):
            keys = {"seed": str(seed), "draw": None if draw is None else str(draw)}
            yield keys, (slice(place, place + 1), slice(number, number + 1))
    if len(seeds) > 1 or len(draws) > 1:
        yield {"seed": together(seeds), "draw": together(draws)}, (slice(None), slice(None))


def _intervals(cube: Floats, confidence: float) -> tuple[Floats, Floats]:
    """Intervals of each column's mean over runs and items: lows and highs, (columns,) each.

    cube: (draws, seeds, items, columns).
    """
    draws, seeds, items, columns = cube.shape
    if draws * seeds > 1:
        crossed = [crossed_difference(cube[..., c], confidence).interval for c in range(columns)]
        return np.array([low for low, _ in crossed]), np.array([high for _, high in crossed])
    if items < 2:
        return np.full(columns, math.nan), np.full(columns, math.nan)
    low, high = DescrStatsW(cube[0, 0]).tconfint_mean(1 - confidence)
    return low, high


# --- drift_comparisons.csv ----------------------------------------------------------------


def _at_last_step(drift: pd.DataFrame) -> pd.DataFrame:
    """drift: rows of (draw, seed, item), columns of (step, layer)."""
    return drift.loc[:, [drift.columns.get_level_values("step").max()]]


def _compared(
    last: Mapping[str, Mapping[str, pd.DataFrame]],
    draws: Sequence[int],
    settings: AnalysisSettings,
) -> pd.DataFrame:
    """Each condition compared with the baseline; no rows where the baseline is not trained.

    last: condition → position → drift at the last step.
    draws: of the conditions that have some.
    """
    rows = [
        {"position": position, "second": settings.baseline} | row
        for position in last.get(settings.baseline, {})
        for row in _at_position(
            {condition: drifts[position] for condition, drifts in last.items()}, draws, settings
        )
    ]
    table = pd.DataFrame(rows, columns=COMPARISON_COLUMNS)
    return _with_verdicts(table, settings.confidence) if rows else table


def _at_position(
    drifts: Mapping[str, pd.DataFrame], draws: Sequence[int], settings: AnalysisSettings
) -> Iterator[dict[str, object]]:
    """For each run and all of them, for the mean over layers and each layer: every condition.

    drifts: of each condition at the last step, rows of (draw, seed, item), columns of (step,
    layer).
    """
    baseline = drifts[settings.baseline]
    for condition, drift in drifts.items():
        _refuse_unlike(condition, drift, settings.baseline, baseline)
    steps = {name: drift.columns[0][0] for name, drift in drifts.items()}
    seeds = list(baseline.index.unique("seed"))
    # (draws, seeds, items, conditions, layers), then with their mean before the layers
    by_layer = np.stack(np.broadcast_arrays(*(cube_of(drift) for drift in drifts.values())), axis=3)
    cube = np.concatenate([by_layer.mean(axis=4, keepdims=True), by_layer], axis=4)
    names = list(drifts)
    reference = names.index(settings.baseline)
    pairs = [(place, reference) for place in range(len(names)) if place != reference]
    for replicate, chosen in _by_replicate(seeds, draws):
        for place, layer in enumerate([ALL_LAYERS, *baseline.columns.get_level_values("layer")]):
            own = cube[chosen][..., place]
            means = own.mean(axis=(0, 1, 2))
            differences = _differences(own, pairs, settings.confidence)
            for (first, second), difference in zip(pairs, differences, strict=True):
                yield {
                    "first": names[first],
                    **replicate,
                    "layer": layer,
                    "step": steps[names[first]],
                    "items": own.shape[2],
                    "first_drift": means[first],
                    "second_drift": means[second],
                    **in_columns("difference", difference.estimate, difference.interval),
                    "p": difference.p,
                    "note": difference.note,
                }


def _refuse_unlike(one: str, first: pd.DataFrame, other: str, second: pd.DataFrame) -> None:
    for what, same in (
        ("seeds or items", _of_a_draw(first).equals(_of_a_draw(second))),
        ("layers", _layers(first) == _layers(second)),
    ):
        if not same:
            raise InputError(f"{one} and {other} have different {what}; rerun their evaluation")


def _of_a_draw(drift: pd.DataFrame) -> pd.Index:
    """The seeds and items, which are the same in every draw."""
    return drift.droplevel("draw").index.unique()


def _layers(drift: pd.DataFrame) -> list[int]:
    return drift.columns.get_level_values("layer").tolist()


def _differences(
    values: Floats, pairs: Sequence[tuple[int, int]], confidence: float
) -> list[Difference]:
    """Paired over items: for one run about its trained models, for several about conditions.

    values: (draws, seeds, items, conditions).
    """
    if values.shape[0] * values.shape[1] > 1:
        return crossed_differences(values, pairs, confidence)
    return [
        paired_mean_difference(values[0, 0, :, first], values[0, 0, :, second], confidence)
        for first, second in pairs
    ]


def _with_verdicts(table: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """What each row shows, corrected for the number of rows that answer the same question."""
    whole = table["layer"] == ALL_LAYERS
    question = table["position"].where(~whole, "") + " " + table["first"].where(~whole, "")
    keys = [*(table[name] for name in REPLICATE), question]
    corrected = table.groupby(keys, dropna=False)["p"].transform(lambda p: holm(p.to_numpy()))
    words = [
        verdict_of_amount(Interval(low, high), p, confidence)
        for low, high, p in zip(
            table["difference_low"], table["difference_high"], corrected, strict=True
        )
    ]
    return table.assign(p_holm=corrected, verdict=words)


if __name__ == "__main__":
    run_program(main)
