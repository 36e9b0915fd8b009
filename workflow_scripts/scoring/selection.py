"""What chooses among the checkpoints of a run, for each completed item."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from workflow_scripts.config.slices import PredictionSlice
from workflow_scripts.results.scorers import SCORERS
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.scoring.predictions import score_completions
from workflow_scripts.tasks.examples import Example


def with_selection(
    predictions: pd.DataFrame, settings: PredictionSlice, reference: Sequence[Example] = ()
) -> pd.DataFrame:
    """The predictions with the columns `selection` and `selection_loss`.

    `results.checkpoint_selection` takes the step with the highest mean `selection` on validation,
    then the lowest mean `selection_loss`. By accuracy: strict accuracy and answer loss. By
    agreement: the strict score against the reference's answer, and 0; NaN for an item to which the
    reference has none. The last checkpoint: the step, and 0.

    predictions: of `score_completions`, with `split` and `step`.
    reference: its answers, as examples.
    Raises InputError if the reference has no answer to any validation item, or the scorer compares
    with no answer.
    """
    if settings.choose_by == "accuracy":
        return by_accuracy(predictions)
    if settings.choose_by == "last":
        selection = predictions["step"].astype(float)
    else:
        selection = _agreement(predictions, settings, reference)
    return predictions.assign(selection=selection, selection_loss=0.0)


def by_accuracy(predictions: pd.DataFrame) -> pd.DataFrame:
    """The columns of `with_selection`, by accuracy."""
    return predictions.assign(
        selection=predictions["strict"], selection_loss=predictions["answer_loss"]
    )


def _agreement(
    predictions: pd.DataFrame, settings: PredictionSlice, reference: Sequence[Example]
) -> pd.Series[float]:
    if SCORERS[settings.scorer].references:
        raise InputError(
            f"scorer `{settings.scorer}` compares with references and no answer, so agreement "
            "cannot choose checkpoints; set `evaluation.choose_by` to `last`"
        )
    # references of the task would be compared with instead of the answer
    answered = [replace(example, references=()) for example in reference]
    known = predictions["item"].isin({example.item for example in answered})
    items = predictions.loc[predictions["split"] == "validation", "item"]
    missing = items[~known[items.index]].nunique()
    if missing == items.nunique() > 0:
        raise InputError(
            "the reference has no answer to any validation item; set `evaluation.choose_by` to "
            "`last` or correct the task's `reference`"
        )
    if missing:
        print(
            f"{missing} of {items.nunique()} validation items have no usable answer of the "
            "reference; checkpoints are chosen on the others",
            flush=True,
        )
    scored = score_completions(predictions[known], answered, settings)
    return scored["strict"].reindex(predictions.index, fill_value=math.nan)
