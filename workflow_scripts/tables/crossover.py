"""The step at which a student without context reaches the base model with context."""

from __future__ import annotations

import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.results.index import RUN_KEYS, ResultIndex, read_predictions, write_table
from workflow_scripts.results.metrics import columns_of
from workflow_scripts.results.statistics import Floats, bootstrap_means
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.tables.learning_curves import (
    BASE_MODEL,
    FIRST_STEP,
    REFERENCE,
    LearningCurve,
    learning_curves,
)

_STEPS = columns_of("loss_step", "accuracy_step")
COLUMNS = [
    *RUN_KEYS,
    "reference",
    "reference_loss",
    "reference_accuracy",
    *_STEPS,
    "last_step",
    "note",
]
NO_GAP = "no gap to cross"
Crosses = Callable[[Any, Any], Any]


def main(settings: AnalysisSettings, index: ResultIndex, table: Path) -> None:
    """Make crossover.csv from the predictions of one model on one task."""
    write_table(crossover(read_predictions(index), settings), table)


def crossover(predictions: pd.DataFrame, settings: AnalysisSettings) -> pd.DataFrame:
    """crossover.csv: the first step at which each run crosses the few-shot reference on test.

    The reference is the base result at the largest shot count. `loss_step` is the first step
    whose mean answer loss lies below the reference's, `accuracy_step` the first whose strict
    accuracy is at least the reference's; missing where that never happens. Rows with seed or draw
    `all` are of the mean curve over them. A run is compared with the reference in its own draw; a
    run that is the same in every draw with the mean over them.

    Intervals are percentiles of the first crossing in a paired bootstrap over items (and seeds and
    draws): run and reference see the same resampled items. A sample that never crosses lies beyond
    the last step, so a missing `_high` says that crossing within the training is not sure. Step 0
    counts in a sample: an interval from 0 says that the base model may be as good as the reference.

    Where the reference is no better than the base model without demonstrations there is no
    gap to cross, and the note says so. Transferred results have no rows.

    predictions: as `read_predictions` returns them.
    Raises InputError when runs have no base result at 0 shots beside them.
    """
    table = pd.DataFrame(
        [_row(curve, settings) for curve in learning_curves(predictions)], columns=COLUMNS
    )
    return table.astype(dict.fromkeys([*_STEPS, "last_step"], "Int64"))


def _row(curve: LearningCurve, settings: AnalysisSettings) -> dict[str, object]:
    # as scores: more is better
    gains = -curve.loss
    loss_crossing = _crossing(curve, gains, operator.gt, settings)
    accuracy_crossing = _crossing(curve, curve.strict, operator.ge, settings)
    row: dict[str, object] = {
        "reference": curve.reference,
        "reference_loss": float(curve.loss[..., REFERENCE].mean()),
        "reference_accuracy": float(curve.strict[..., REFERENCE].mean()),
        "last_step": int(curve.steps[-1]),
        "note": _note(loss_crossing is None, accuracy_crossing is None),
    }
    for metric, crossing in (("loss", loss_crossing), ("accuracy", accuracy_crossing)):
        row |= {f"{metric}_step{end}": step for end, step in (crossing or {}).items()}
    return curve.key | row


def _crossing(
    curve: LearningCurve, scores: Floats, crosses: Crosses, settings: AnalysisSettings
) -> dict[str, int | None] | None:
    """The first step that crosses and its interval; None where there is no gap to cross.

    scores: (draws, seeds, items, 2 + steps), as in a `LearningCurve`; more is better.
    """
    means = scores.mean(axis=(0, 1, 2))
    if means[REFERENCE] <= means[BASE_MODEL]:
        return None
    resampled = bootstrap_means(scores, settings.bootstrap_samples, settings.seed)
    tail = (1 - settings.confidence) / 2
    low, high = np.quantile(
        # a step, or never: nothing between two of them
        _first_steps(curve, resampled, crosses),
        [tail, 1 - tail],
        method="inverted_cdf",
    )
    step = _first_steps(curve, means, crosses)
    return {
        end: int(value) if np.isfinite(value) else None
        for end, value in (("", step), ("_low", low), ("_high", high))
    }


def _first_steps(curve: LearningCurve, scores: Floats, crosses: Crosses) -> Floats:
    """scores: (..., 2 + steps). Returns (...), infinite where none crosses."""
    beyond = crosses(scores[..., FIRST_STEP:], scores[..., [REFERENCE]])
    return np.where(beyond.any(axis=-1), curve.steps[beyond.argmax(axis=-1)], np.inf)


def _note(loss: bool, accuracy: bool) -> str | None:
    """Names the metrics that have no gap to cross."""
    if loss and accuracy:
        return NO_GAP
    if loss or accuracy:
        return f"{'loss' if loss else 'accuracy'}: {NO_GAP}"
    return None


if __name__ == "__main__":
    run_program(main)
