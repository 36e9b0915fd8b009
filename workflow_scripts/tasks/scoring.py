"""Completions scored against the answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from workflow_scripts.errors import InputError
from workflow_scripts.settings import ScoringSlice
from workflow_scripts.tasks.scorers import SCORERS, Completion


def score_completions(
    completions: pd.DataFrame, answers: Mapping[str, str], settings: ScoringSlice
) -> pd.DataFrame:
    """The completions with columns `prediction` (text), `strict` and `flexible` (bool) added.

    `answer_loss` stays that of the answer's tokens, or is the scorer's own.

    completions: any rows with `item` and `completion`, and `choice_losses` in a choice task.
    answers: by item.
    Raises InputError for an item that has no answer.
    """
    unknown = set(completions["item"]) - set(answers)
    if unknown:
        raise InputError(
            f"item {min(unknown)}: completed, but not among the task's examples; "
            "delete the completions and rerun"
        )
    score = SCORERS[settings.scorer]
    scores = [
        score(completion, answers[item])
        for item, completion in zip(
            completions["item"], _readable(completions, settings.labels), strict=True
        )
    ]
    return completions.assign(
        answer_loss=[
            loss if scored.loss is None else scored.loss
            for scored, loss in zip(scores, completions["answer_loss"], strict=True)
        ],
        prediction=pd.Series([s.prediction for s in scores], completions.index, dtype="str"),
        strict=pd.Series([s.strict for s in scores], completions.index, dtype="bool"),
        flexible=pd.Series([s.flexible for s in scores], completions.index, dtype="bool"),
    )


def _readable(completions: pd.DataFrame, choices: tuple[str, ...] | None) -> Iterable[Completion]:
    if choices is None:
        return map(Completion, completions["completion"])
    return (
        Completion(text, dict(zip(choices, losses, strict=True)))
        for text, losses in zip(
            completions["completion"], completions["choice_losses"], strict=True
        )
    )
