"""Whether the answers of a task can be matched at all."""

from __future__ import annotations

from collections.abc import Iterable

from workflow_scripts.config.slices import ScoringSlice
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.scoring.predictions import SCORERS
from workflow_scripts.scoring.scorers import Completion, score_number
from workflow_scripts.tasks.examples import Example

# what a scorer reads, and what to do about an answer that it does not
_ADVICE = {
    "number": "it reads one number in digits, like -1,234.5, alone or after `#### `; correct the "
    "item or use scorer `word`",
    "rouge": "it reads the letters a to z and digits only; use scorer `bleu` or `span`",
    "coverage": "it looks for words, and a reference has none; remove that reference",
}
_OTHER_ADVICE = "correct the item or use scorer `word`"
_EXACT = 1 - 1e-6


def refuse_unmatchable(examples: Iterable[Example], settings: ScoringSlice) -> None:
    """Refuses an answer that has not the highest score, strict and flexible, for its own text.

    `likelihood` and `bert_score` are not asked: the one compares labels, which every answer is
    among, and the other's encoder takes any text.

    Raises InputError naming the first such item.
    """
    if settings.scorer not in SCORERS or settings.scorer == "likelihood":
        return
    score = SCORERS[settings.scorer]
    for example in examples:
        best = [
            score(Completion(text, settings.labels or ()), example)
            for text in _best_texts(example, settings.scorer)
        ]
        if all(min(s.strict, s.flexible) < _EXACT for s in best):
            raise InputError(
                f"item {example.item}: no completion can match the answer '{example.answer:.40}' "
                f"with scorer `{settings.scorer}`: "
                f"{_ADVICE.get(settings.scorer, _OTHER_ADVICE)}"
            )


def _best_texts(example: Example, scorer: str) -> tuple[str, ...]:
    """Completions of which one should score highest: the answer, as the scorer wants it."""
    if scorer == "coverage":
        return (" ".join(example.references),)
    if scorer == "number" and "#### " not in example.answer:
        return (f"#### {score_number(Completion(example.answer), example).prediction}",)
    return example.accepted if scorer in ("span", "rouge", "bleu") else (example.answer,)
