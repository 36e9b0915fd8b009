"""How well the probabilities of labels say how often the answer is right."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd

from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.results.checkpoint_selection import at_chosen_steps, written_steps
from workflow_scripts.results.index import (
    RUN_KEYS,
    ResultIndex,
    by_item,
    by_replicate,
    cube_of,
    read_predictions,
    write_table,
)
from workflow_scripts.results.metrics import columns_of, in_columns
from workflow_scripts.results.statistics import (
    Floats,
    Interval,
    basic_interval,
    bootstrap_by_replicate,
    bootstrap_means,
    bootstrap_over_replicates,
    percentile_interval,
)
from workflow_scripts.runtime.cli import run_program

COLUMNS = [
    *RUN_KEYS,
    "step",
    "items",
    "accuracy",
    "confidence",
    *columns_of("calibration_error"),
    "calibrated",
    *columns_of("brier"),
]

# of equal width, as in Guo et al. 2017
BINS = 15


def main(settings: AnalysisSettings, index: ResultIndex, table: Path) -> None:
    """Make calibration.csv from the predictions of one model on a task whose labels are ranked."""
    write_table(calibration(read_predictions(index, also=["choice_losses"]), settings), table)


def calibration(predictions: pd.DataFrame, settings: AnalysisSettings) -> pd.DataFrame:
    """calibration.csv: one row for each result, seed and draw, and with several of `all`.

    On test, at the checkpoint chosen on validation. The probability of a label is that among the
    labels; `confidence` is the mean of the likeliest label's, `accuracy` how often it is right.

    `calibration_error` is the `expected_calibration_error`, with the basic bootstrap interval over
    items, from 0 and to the error at least; percentiles would lie above it, because it is a sum of
    magnitudes. A perfectly calibrated model with these confidences would have about `calibrated`
    on as many items. `brier` is the Brier score, the sum over labels of (probability − 1 if
    correct)², from 0 to 2 (Brier 1950), with the percentile interval. Those of `all` are means over
    seeds and draws, which are resampled with the items.

    predictions: of one model on one task scored by `likelihood`, as `read_predictions` returns
    them, with `choice_losses` (nats of each label).
    """
    chosen = at_chosen_steps(predictions)
    probabilities = probabilities_of(np.stack(list(chosen["choice_losses"])))
    # the answer loss is -log of the correct label's probability among the labels
    correct = np.exp(-chosen["answer_loss"].to_numpy(dtype=float))
    chosen = chosen.assign(
        confidence=probabilities.max(axis=1),
        brier=np.sum(probabilities**2, axis=1) + 1 - 2 * correct,
    )
    rows = [
        _row(own, replicate, settings)
        for _, result in chosen.groupby("condition", sort=False)
        for replicate, own in by_replicate(result)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def probabilities_of(losses: Floats) -> Floats:
    """Probability of each label among the labels. losses: (items, labels), nats."""
    likelihoods = np.exp(losses.min(axis=1, keepdims=True) - losses)
    return cast(Floats, likelihoods / likelihoods.sum(axis=1, keepdims=True))


def expected_calibration_error(correct: Floats, confidence: Floats) -> Floats:
    """ECE with `BINS` bins of equal width (Guo et al. 2017, eq. 3).

    correct: whether the likeliest label is right; confidence: its probability; (..., items).
    Returns (...): the mean over items of |accuracy - confidence| of their bin.
    """
    return _error(_gaps(correct, confidence).mean(axis=-2))


def error_if_calibrated(confidence: Floats) -> Floats:
    """About the mean ECE of a model that is right with the probability that it says.

    The sum over bins of the mean magnitude of a normal distribution with the bin's variance.

    confidence: (..., items). Returns (...).
    """
    variances = (confidence * (1 - confidence))[..., None] * _in_bins(confidence)
    spread = np.sqrt(variances.sum(axis=-2)).sum(axis=-1)
    return cast(Floats, np.sqrt(2 / np.pi) * spread / confidence.shape[-1])


def _gaps(correct: Floats, confidence: Floats) -> Floats:
    """How far each item is from its confidence, in the place of its bin: (..., items, bins)."""
    return (correct - confidence)[..., None] * _in_bins(confidence)


def _in_bins(confidence: Floats) -> Floats:
    """1 in the place of each item's bin, (low, high]; (..., items, bins)."""
    places = np.clip(np.ceil(confidence * BINS) - 1, 0, BINS - 1)
    return cast(Floats, (places[..., None] == np.arange(BINS)).astype(float))


def _error(gaps: Floats) -> Floats:
    """gaps: means over items, (..., bins)."""
    return cast(Floats, np.abs(gaps).sum(axis=-1))


def _row(
    own: pd.DataFrame, replicate: Mapping[str, str | None], settings: AnalysisSettings
) -> dict[str, object]:
    """own: one result in one seed and draw or in all of them. replicate: these columns."""
    correct, confidence, brier = (
        cube_of(by_item(own, value, ["condition"]))[..., 0]
        for value in ("strict", "confidence", "brier")
    )
    samples, seed = settings.bootstrap_samples, settings.seed
    error = float(expected_calibration_error(correct, confidence).mean())
    errors = _error(bootstrap_by_replicate(_gaps(correct, confidence), samples, seed))
    errors = bootstrap_over_replicates(errors[..., None], seed)[:, 0]
    low, high = basic_interval(error, errors, settings.confidence)
    scores = bootstrap_means(brier[..., None], samples, seed)[:, 0]
    return dict(own[["model", "task", "condition"]].iloc[0]) | {
        **replicate,
        "step": written_steps(own),
        "items": correct.shape[-1],
        "accuracy": float(correct.mean()),
        "confidence": float(confidence.mean()),
        **in_columns("calibration_error", error, Interval(max(low, 0.0), max(high, error))),
        "calibrated": float(error_if_calibrated(confidence).mean()),
        **in_columns(
            "brier", float(brier.mean()), percentile_interval(scores, settings.confidence)
        ),
    }


if __name__ == "__main__":
    run_program(main)
