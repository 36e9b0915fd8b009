"""How a completion is compared with the answer: one function for each way, by name."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Score:
    """prediction: what the flexible reading takes out of the completion; empty when nothing."""

    prediction: str
    strict: bool
    flexible: bool


def score_word(completion: str, answer: str) -> Score:
    """A word or phrase.

    strict: the completion is the answer and nothing else, but for white space around it.
    flexible: the first line ends in the answer's words, whatever their case and punctuation.
    """
    strict = completion.strip() == answer
    wanted = _words(answer)
    if not wanted:  # an answer of symbols only
        return Score(completion.strip(), strict, strict)
    first_line = completion.strip().partition("\n")[0]
    last = _words(first_line)[-len(wanted) :]
    return Score(" ".join(last), strict, strict or last == wanted)


# lm-evaluation-harness, tasks/gsm8k/gsm8k.yaml: its two filters and what its metric ignores
_STRICT_NUMBER = re.compile(r"#### (\-?[0-9\.\,]+)")
_FLEXIBLE_NUMBER = re.compile(r"(-?[$0-9.,]{2,})|(-?[0-9]+)")
_IGNORED = (re.compile(","), re.compile(r"\$"), re.compile(r"(?s).*#### "), re.compile(r"\.$"))


def score_number(completion: str, answer: str) -> Score:
    """A number, as lm-evaluation-harness scores GSM8K.

    answer: the number, or a worked solution that ends in `#### <number>`.
    strict: the first number that follows `#### `. flexible: the last number of the completion.
    """
    wanted = _plain_number(answer)
    marked = _STRICT_NUMBER.search(completion)
    numbers = [match.group() for match in _FLEXIBLE_NUMBER.finditer(completion)]
    prediction = _plain_number(numbers[-1]) if numbers else ""
    return Score(
        prediction=prediction,
        strict=marked is not None and _plain_number(marked.group(1)) == wanted,
        flexible=prediction == wanted,
    )


SCORERS: dict[str, Callable[[str, str], Score]] = {"word": score_word, "number": score_number}


def _words(text: str) -> list[str]:
    return re.sub(r"[^\w\s]|_", " ", text.casefold()).split()


def _plain_number(text: str) -> str:
    for pattern in _IGNORED:
        text = pattern.sub("", text)
    return text.strip().casefold()
