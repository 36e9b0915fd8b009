"""How well and how steadily each condition was optimised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import median_abs_deviation

from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.results.checkpoint_selection import chosen_steps
from workflow_scripts.results.index import (
    RUN_KEYS,
    ResultIndex,
    name_of,
    read_predictions,
    read_training_logs,
    write_table,
)
from workflow_scripts.results.metrics import columns_of, in_columns
from workflow_scripts.results.statistics import (
    Floats,
    bootstrap_means,
    percentile_interval,
    replicated_difference,
)
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.tables.learning_curves import (
    BASE_MODEL,
    FIRST_STEP,
    REFERENCE,
    LearningCurve,
    learning_curves,
)
from workflow_scripts.tables.verdicts import NOT_SHOWN

COLUMNS = [
    *RUN_KEYS,
    *columns_of("gap_reduction", "area"),
    "loss_variance",
    "grad_norm_median",
    "grad_norm_p95",
    "grad_norm_max",
    "spikes",
    "checkpoint_variance",
    "note",
]

# a spike: neighbours on either side, and how many scaled MADs above their median
SPIKE_NEIGHBOURS = 10
SPIKE_THRESHOLD = 5.0


def main(settings: AnalysisSettings, index: ResultIndex, table: Path) -> None:
    """Make optimisation.csv from the predictions and training logs of one model on one task."""
    write_table(optimisation(read_predictions(index), read_training_logs(index), settings), table)


def optimisation(
    predictions: pd.DataFrame, logs: pd.DataFrame, settings: AnalysisSettings
) -> pd.DataFrame:
    """optimisation.csv: one row for each run, and with several seeds or draws one of `all`.

    On the test items, with percentile intervals of a bootstrap over items (and seeds and draws):
    `gap_reduction`, (student − zero-shot) / (few-shot − zero-shot) of strict accuracy, of the
    checkpoint chosen on validation; missing where the interval of the denominator, the in-context
    gap (`replicated_difference`), does not lie above 0. `area`: under the curve of strict accuracy
    over steps, trapezoidal and divided by the last step, so that it is a mean accuracy from 0 to
    1. `checkpoint_variance`: `successive_variance` of the strict accuracies of the checkpoints in
    the last half of the steps.

    From the training log: `loss_variance`, `successive_variance` of the loss in the last half of
    the steps (of the loss that is minimised: conditions with other terms have another scale);
    percentiles of the gradient's norm before clipping over all steps; `spikes`, the number of
    steps that `is_spike` finds. Rows of `all` hold means over the runs of these and of
    `checkpoint_variance`.

    predictions: as `read_predictions` returns them. logs: as `read_training_logs` does.
    Raises InputError when a run has no log or no validation items, or item sets differ.
    """
    chosen = {_run(key): step for *key, step in chosen_steps(predictions).to_numpy().tolist()}
    steadiness = {
        _run(key): log_metrics(log) for key, log in logs.groupby(RUN_KEYS, sort=False, dropna=False)
    }
    rows = []
    for curve in learning_curves(predictions):
        keys = curve.runs
        unlogged = next((key for key in keys if key not in steadiness), None)
        if unlogged:
            raise InputError(f"{name_of(*unlogged)}: no training log in the index")
        rows.append(
            curve.key
            | _on_test(curve, [chosen[key] for key in keys], settings)
            | _means([steadiness[key] for key in keys])
            | {"checkpoint_variance": _checkpoint_variance(curve)}
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def _run(key: Sequence[Any]) -> tuple[Any, ...]:
    """A key of a run, with None for what is missing."""
    return tuple(None if pd.isna(part) else part for part in key)


# --- on the test items --------------------------------------------------------------------


def _on_test(
    curve: LearningCurve, chosen: Sequence[int], settings: AnalysisSettings
) -> dict[str, object]:
    """Gap reduction and area with their intervals. chosen: the step of each of the curve's runs."""
    places = np.array([FIRST_STEP + curve.steps.tolist().index(step) for step in chosen])
    # (draws or 1, seeds, 1, 1)
    of_runs = places.reshape(-1, len(curve.seeds), 1, 1)
    of_runs = np.broadcast_to(of_runs, (*curve.strict.shape[:3], 1))
    values = np.concatenate(
        [curve.strict, np.take_along_axis(curve.strict, of_runs, axis=3)], axis=3
    )
    means = values.mean(axis=(0, 1, 2))
    resampled = bootstrap_means(values, settings.bootstrap_samples, settings.seed)
    area = percentile_interval(_area(curve, resampled), settings.confidence)
    found: dict[str, object] = dict(in_columns("area", float(_area(curve, means)), area))
    # both are the same in every seed
    few, zero = (curve.strict[:, :1, :, column] for column in (REFERENCE, BASE_MODEL))
    if not replicated_difference(few, zero, settings.confidence).interval.low > 0:
        return found | {"note": f"in-context gap {NOT_SHOWN}"}
    # the gap is above 0 in all but a small tail of the samples
    with_gap = resampled[resampled[:, REFERENCE] > resampled[:, BASE_MODEL]]
    reduction = percentile_interval(_gap_reduction(with_gap), settings.confidence)
    return found | in_columns("gap_reduction", float(_gap_reduction(means)), reduction)


def _gap_reduction(accuracies: Floats) -> Floats:
    """accuracies: (..., columns), the student's last. Returns (...)."""
    zero = accuracies[..., BASE_MODEL]
    reduction: Floats = (accuracies[..., -1] - zero) / (accuracies[..., REFERENCE] - zero)
    return reduction


def _area(curve: LearningCurve, accuracies: Floats) -> Floats:
    """accuracies: (..., columns), the student's last. Returns (...)."""
    whole = np.trapezoid(accuracies[..., FIRST_STEP:-1], curve.steps, axis=-1)
    area: Floats = np.asarray(whole, dtype=float) / curve.steps[-1]
    return area


def _checkpoint_variance(curve: LearningCurve) -> float:
    late = curve.steps >= curve.steps[-1] / 2
    accuracies = curve.strict[..., FIRST_STEP:].mean(axis=2).reshape(-1, len(curve.steps))
    return float(np.mean([successive_variance(run[late]) for run in accuracies]))


# --- of the training log ------------------------------------------------------------------


def log_metrics(log: pd.DataFrame) -> dict[str, float]:
    """The columns that the training log of one run gives.

    log: `step`, `loss` and `grad_norm` of each step, in order.
    """
    late = log[log["step"] >= log["step"].max() / 2]
    # a phase with other terms has a loss of its own
    present = late.notna()
    phases = present.ne(present.shift()).any(axis=1).cumsum()
    losses = [own.to_numpy(dtype=float) for _, own in late["loss"].groupby(phases)]
    return {
        "loss_variance": successive_variance(*losses),
        "grad_norm_median": float(log["grad_norm"].median()),
        "grad_norm_p95": float(log["grad_norm"].quantile(0.95)),
        "grad_norm_max": float(log["grad_norm"].max()),
        "spikes": float(is_spike(log["loss"]).sum()),
    }


def successive_variance(*series: Floats) -> float:
    """Half the mean squared difference of successive values of each series; NaN without any.

    It estimates the variance of independent values about a slowly moving mean; the plain variance
    would count the movement too (von Neumann, Kent, Bellinson and Hart 1941).
    """
    differences = np.concatenate([np.diff(values) for values in series])
    return float(np.mean(differences**2) / 2) if len(differences) else float("nan")


def is_spike(losses: pd.Series) -> pd.Series:
    """Which losses lie more than five scaled MADs above the running median.

    Median and median absolute deviation (times 1.4826, a standard deviation for normal values)
    are of the loss, the ten before and the ten after it, fewer at the ends: the Hampel identifier
    (Davies and Gather 1993), upwards only. Its usual threshold of 3 finds a spike in every third
    training of 40 steps with normal noise, 5 in one of sixty: 5 is our choice.

    losses: (steps,), in order. Returns (steps,), booleans.
    """
    around = losses.rolling(2 * SPIKE_NEIGHBOURS + 1, center=True, min_periods=1)
    deviation = around.apply(median_abs_deviation, raw=True, kwargs={"scale": "normal"})
    return losses > around.median() + SPIKE_THRESHOLD * deviation


def _means(metrics: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([run[name] for run in metrics])) for name in metrics[0]}


if __name__ == "__main__":
    run_program(main)
