"""Whether the answers of a task can be matched at all."""

from __future__ import annotations

from collections.abc import Iterable

from workflow_scripts.config.slices import ScoringSlice
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.scoring.answers import Completion
from workflow_scripts.scoring.predictions import ITEM_SCORERS
from workflow_scripts.tasks.examples import Example

_EXACT = 1 - 1e-6


def refuse_unmatchable(examples: Iterable[Example], settings: ScoringSlice) -> None:
    """Refuses an answer that does not get full scores, strict and flexible, for its own text.

    Unlabelled examples are skipped. Raises InputError naming the first such item.
    """
    scorer = ITEM_SCORERS.get(settings.scorer)
    if scorer is None or scorer.best is None:
        return
    for example in examples:
        if example.answer is None:
            continue
        scores = [
            scorer.score(Completion(text, settings.labels or ()), example)
            for text in scorer.best(example)
        ]
        if all(min(score.strict, score.flexible) < _EXACT for score in scores):
            raise InputError(
                f"item {example.item}: no completion can match the answer '{example.answer:.40}' "
                f"with scorer `{settings.scorer}`: {scorer.advice}"
            )
