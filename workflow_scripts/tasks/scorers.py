"""How a completion is compared with the answer of its item: one function for each way."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from workflow_scripts.tasks.examples import Example


@dataclass(frozen=True)
class Completion:
    """text: what was generated. labels: of a choice task.

    losses: label → nats summed over its tokens, where they were measured.
    """

    text: str
    labels: tuple[str, ...] = ()
    losses: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Score:
    """prediction: what is read out of the completion; empty when nothing.

    The flexible reading, except where a scorer says otherwise.
    strict, flexible: from 0 to 1; of a right or wrong answer 1 or 0.
    loss: nats, of a scorer that has its own; that of the answer's tokens elsewhere.
    """

    prediction: str
    strict: float
    flexible: float
    loss: float | None = None


def score_word(completion: Completion, example: Example) -> Score:
    """A word or phrase.

    strict: the completion is the answer and nothing else, but for white space around it.
    flexible: the first line ends in the answer's words, whatever their case and punctuation.
    """
    text = completion.text.strip()
    strict = text == example.answer
    wanted = words_of(example.answer)
    if not wanted:  # an answer of symbols only
        return Score(text, strict, strict)
    first_line = text.partition("\n")[0]
    last = words_of(first_line)[-len(wanted) :]
    return Score(" ".join(last), strict, strict or last == wanted)


# lm-evaluation-harness, tasks/gsm8k/gsm8k.yaml: its two filters and what its metric ignores
_STRICT_NUMBER = re.compile(r"#### (\-?[0-9\.\,]+)")
_FLEXIBLE_NUMBER = re.compile(r"(-?[$0-9.,]{2,})|(-?[0-9]+)")
_IGNORED = (re.compile(","), re.compile(r"\$"), re.compile(r"(?s).*#### "), re.compile(r"\.$"))


def score_number(completion: Completion, example: Example) -> Score:
    """A number, as lm-evaluation-harness scores GSM8K.

    The answer is the number, or a worked solution that ends in `#### <number>`.
    strict: the first number that follows `#### `. flexible: the last number of the completion.
    """
    wanted = _plain_number(example.answer)
    marked = _STRICT_NUMBER.search(completion.text)
    numbers = [match.group() for match in _FLEXIBLE_NUMBER.finditer(completion.text)]
    prediction = _plain_number(numbers[-1]) if numbers else ""
    return Score(
        prediction=prediction,
        strict=marked is not None and _plain_number(marked.group(1)) == wanted,
        flexible=prediction == wanted,
    )


def score_choice(completion: Completion, example: Example) -> Score:
    """The label that is generated.

    strict: the completion is the answer's label and nothing else, but for white space around it.
    flexible: the first label that the completion names. A label is named by its words without
    the punctuation around them (`B` for the label `(B)`), standing apart from other letters and
    digits; labels of one letter in their own case, longer ones in any. Where two labels are
    named at one place, the longer counts.
    """
    named = [
        (match.start(), -len(match.group()), label)
        for label in completion.labels
        if (match := _naming(label).search(completion.text))
    ]
    prediction = min(named)[2] if named else ""
    strict = completion.text.strip() == example.answer
    return Score(prediction, strict, prediction == example.answer)


def score_likelihood(completion: Completion, example: Example) -> Score:
    """The likeliest label, as lm-evaluation-harness scores `multiple_choice`.

    strict: of the highest probability, its `acc`; this is the prediction.
    flexible: of the highest mean log-probability per byte, its `acc_norm` (which counts
    characters: the same for ASCII labels).
    loss: −log of the answer's probability among the labels, whatever other texts are as likely,
    so that a classification head has the same measure.
    """
    losses, answer = completion.losses, example.answer
    likeliest = min(losses, key=lambda label: losses[label])
    per_byte = min(losses, key=lambda label: losses[label] / len(label.encode()))
    probabilities = [math.exp(losses[likeliest] - loss) for loss in losses.values()]
    loss = losses[answer] - losses[likeliest] + math.log(sum(probabilities))
    return Score(likeliest, likeliest == answer, per_byte == answer, loss)


def _naming(label: str) -> re.Pattern[str]:
    bare = re.sub(r"^\W+|\W+$", "", label) or label
    return re.compile(rf"(?<!\w){re.escape(bare)}(?!\w)", re.IGNORECASE if len(bare) > 1 else 0)


def words_of(text: str) -> list[str]:
    """The words of a text, whatever their case and punctuation."""
    return re.sub(r"[^\w\s]|_", " ", text.casefold()).split()


def _plain_number(text: str) -> str:
    for pattern in _IGNORED:
        text = pattern.sub("", text)
    return text.strip().casefold()
