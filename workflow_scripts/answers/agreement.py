"""Which samples of an item agree: those in which the task's scorer reads the same answer."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

from workflow_scripts.answers.records import Answer
from workflow_scripts.scoring.answers import Completion
from workflow_scripts.scoring.predictions import ITEM_SCORERS
from workflow_scripts.tasks.examples import Example

# scorers whose prediction is one number or label within the text
_READING = ("number", "choice")


def reading(scorer: str, text: str, labels: tuple[str, ...] | None) -> str:
    """What a task's scorer reads in a text, empty if nothing; the text itself for most scorers."""
    if scorer not in _READING:
        return text
    # what is read depends on the text alone
    nothing = Example(item="", question="", answer="")
    return ITEM_SCORERS[scorer].score(Completion(text, labels or ()), nothing).prediction


def with_agreement(
    answers: Sequence[Answer], scorer: str, labels: tuple[str, ...] | None
) -> list[Answer]:
    """The answers with the share of their item's usable samples that agree with them.

    An answer in which the scorer reads nothing agrees with itself alone.
    """
    found = [None if a.unusable else reading(scorer, a.text, labels) for a in answers]
    of_item: dict[str, Counter[str]] = defaultdict(Counter)
    for answer, read in zip(answers, found, strict=True):
        if read is not None:
            of_item[answer.question.item][read] += 1
    return [
        answer
        if read is None
        else replace(answer, agreement=_share(of_item[answer.question.item], read))
        for answer, read in zip(answers, found, strict=True)
    ]


def _share(readings: Counter[str], read: str) -> float:
    return (readings[read] if read else 1) / readings.total()
