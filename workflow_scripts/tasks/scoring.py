"""Completions scored against the answers."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

import pandas as pd

from workflow_scripts.errors import InputError
from workflow_scripts.tasks.scorers import SCORERS


def score_completions(
    completions: pd.DataFrame, answers: Mapping[str, str], scorer: str
) -> pd.DataFrame:
    """The completions with columns `prediction` (text), `strict` and `flexible` (bool) added.

    completions: any rows with `item` and `completion`.
    answers: by item.
    Raises InputError for an unknown scorer and for an item that has no answer.
    """
    if scorer not in SCORERS:
        near = difflib.get_close_matches(scorer, SCORERS, n=1)
        raise InputError(f"no scorer named '{scorer}'; valid: {', '.join(near or SCORERS)}")
    unknown = set(completions["item"]) - set(answers)
    if unknown:
        raise InputError(
            f"item {min(unknown)}: completed, but not among the task's examples; "
            "delete the completions and rerun"
        )
    scores = [
        SCORERS[scorer](completion, answers[item])
        for item, completion in zip(completions["item"], completions["completion"], strict=True)
    ]
    return completions.assign(
        prediction=pd.Series([s.prediction for s in scores], completions.index, dtype="str"),
        strict=pd.Series([s.strict for s in scores], completions.index, dtype="bool"),
        flexible=pd.Series([s.flexible for s in scores], completions.index, dtype="bool"),
    )
