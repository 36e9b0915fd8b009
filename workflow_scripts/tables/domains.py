"""Scores of runs on a mixture, as means over its own tasks and over others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.config.comparisons import Domain
from workflow_scripts.results.checkpoint_selection import at_chosen_steps
from workflow_scripts.results.index import (
    ResultIndex,
    by_item,
    cube_of,
    for_each_replicate,
    read_predictions,
    write_table,
)
from workflow_scripts.results.metrics import columns_of, in_columns
from workflow_scripts.results.names import shots_after, source_of, transferred, without_source
from workflow_scripts.results.statistics import (
    Floats,
    bootstrap_by_replicate,
    bootstrap_over_replicates,
    percentile_interval,
)
from workflow_scripts.runtime.cli import run_program

COLUMNS = [
    "model",
    "task",
    "domain",
    "answered",
    "shots",
    "condition",
    "seeds",
    "draws",
    *columns_of("score", "difference", "gain"),
]


def main(
    settings: AnalysisSettings, domains: list[Domain], index: ResultIndex, table: Path
) -> None:
    """Make domains.csv from the predictions of one model on the tasks of all domains."""
    write_table(domain_scores(read_predictions(index), domains, settings), table)


def domain_scores(
    predictions: pd.DataFrame, domains: Sequence[Domain], settings: AnalysisSettings
) -> pd.DataFrame:
    """domains.csv: one row for each mixture (`task`), domain, number of shots and result.

    `score` is the mean strict score on test at the chosen checkpoint, averaged over the `answered`
    tasks, those that are asked after this number of shots: each task weighs the same. `difference`
    is from the baseline after the same number of demonstrations, `gain` from the same result
    without any. A result is not compared with itself, and `difference` is missing too where no
    baseline was trained. Intervals are percentiles of `resampled_means`, paired in differences and
    gains. `seeds` and `draws` count those of the results; where all are the same in every draw,
    there are 0.

    predictions: of one model on the tasks of all domains, as `read_predictions` returns them.
    Results that are of none of the mixtures are ignored.
    Raises InputError when the results or seeds of a task hold different items.
    """
    chosen = at_chosen_steps(predictions)
    rows = [row for domain in domains for row in _rows(chosen, domain, settings)]
    return pd.DataFrame(rows, columns=COLUMNS)


def _rows(
    chosen: pd.DataFrame, domain: Domain, settings: AnalysisSettings
) -> Iterator[dict[str, object]]:
    transfers = chosen[
        chosen["task"].isin(domain.tasks) & (chosen["condition"].map(source_of) == domain.source)
    ]
    for shots, own in transfers.groupby(transfers["condition"].map(shots_after)):
        asked = [task for task in domain.tasks if task in set(own["task"])]
        of_tasks = chosen[chosen["task"].isin(asked)]
        conditions = list(dict.fromkeys(map(without_source, own["condition"])))
        yield from _rows_after(shots, of_tasks, asked, conditions, domain, settings)


def _rows_after(
    shots: int,
    chosen: pd.DataFrame,
    tasks: Sequence[str],
    trained: Sequence[str],
    domain: Domain,
    settings: AnalysisSettings,
) -> Iterator[dict[str, object]]:
    """Rows for one number of demonstrations, on the tasks that are answered after it."""
    # the base model first: it has no condition
    conditions = [None, *trained]

    def name_of(condition: str | None, shots: int) -> str:
        base = f"{shots}-shot"
        return base if condition is None else transferred(condition, domain.source, shots)

    numbers = dict.fromkeys((0, shots))
    results = [name_of(condition, number) for number in numbers for condition in conditions]
    own = chosen[chosen["condition"].isin(results)]
    cubes = [_cube(own[own["task"] == task], results) for task in tasks]
    means = np.mean([cube.mean(axis=(0, 1, 2)) for cube in cubes], axis=0)
    scores = dict(zip(results, means.tolist(), strict=True))
    resampled = pd.DataFrame(resampled_means(cubes, settings), columns=results)

    def measured(metric: str, name: str, other: str | None = None) -> dict[str, float]:
        """The score of a result, or how far it is above another's."""
        estimate, sampled = scores[name], resampled[name]
        if other is not None:
            estimate, sampled = estimate - scores[other], sampled - resampled[other]
        interval = percentile_interval(sampled.to_numpy(), settings.confidence)
        return in_columns(metric, float(estimate), interval)

    for condition in conditions:
        row = {
            "model": own["model"].iloc[0],
            "task": domain.source,
            "domain": domain.name,
            "answered": ", ".join(tasks),
            "shots": shots,
            "condition": condition or f"{shots}-shot",
            "seeds": own["seed"].nunique(),
            "draws": own["draw"].nunique(),
        }
        name = name_of(condition, shots)
        row |= measured("score", name)
        if condition != settings.baseline and settings.baseline in conditions:
            row |= measured("difference", name, name_of(settings.baseline, shots))
        if shots:
            row |= measured("gain", name, name_of(condition, 0))
        yield row


def _cube(own: pd.DataFrame, results: Sequence[str]) -> Floats:
    """Strict scores on one task: (draws, seeds, items, results), repeated where they are the same.

    own: rows of these results alone.
    """
    return cube_of(by_item(for_each_replicate(own), "strict", ["condition"])[list(results)])


def resampled_means(cubes: Sequence[Floats], settings: AnalysisSettings) -> Floats:
    """Bootstrap samples of the mean over tasks of each column: (samples, columns).

    Items are resampled in each task for itself, seeds and draws once for all tasks, because one
    trained model answers them all: the crossed bootstrap of `bootstrap_means`, over several tasks.

    cubes: of each task, (draws, seeds, items, columns), with the same draws, seeds and columns; of
    one draw also (seeds, items, columns).
    """
    by_replicate: Floats = np.mean(
        [
            bootstrap_by_replicate(
                cube.reshape(-1, *cube.shape[-3:]), settings.bootstrap_samples, settings.seed + n
            )
            for n, cube in enumerate(cubes, start=1)
        ],
        axis=0,
    )
    return bootstrap_over_replicates(by_replicate, settings.seed)


if __name__ == "__main__":
    run_program(main)
