"""Scorers of short answers: words, numbers and labels; and the types that all scorers share."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import regex

from workflow_scripts.tasks.examples import Example


@dataclass(frozen=True)
class Completion:
    """What a model generated.

    labels: of a choice task.
    losses: label → nats summed over its tokens, where they were measured.
    """

    text: str
    labels: tuple[str, ...] = ()
    losses: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Score:
    """What a scorer makes of one completion.

    prediction: the answer read from the completion, by the flexible reading unless the scorer says
    otherwise; empty if there is none.
    strict, flexible: from 0 to 1; a right answer has 1, a wrong one 0.
    loss: nats, if the scorer has a loss of its own; else the answer's tokens have theirs.
    """

    prediction: str
    strict: float
    flexible: float
    loss: float | None = None


def answer_alone(example: Example) -> tuple[str, ...]:
    return (example.required_answer,)


@dataclass(frozen=True)
class ItemScorer:
    """A scorer of one completion at a time.

    best: completions of an item, one of which must get both full scores; None if every item can
    be answered.
    advice: what to do about an item where none of them does.
    """

    score: Callable[[Completion, Example], Score]
    best: Callable[[Example], tuple[str, ...]] | None = answer_alone
    advice: str = "correct the item or use scorer `word`"


def score_word(completion: Completion, example: Example) -> Score:
    """A word or phrase.

    strict: the completion is the answer, apart from white space around it.
    flexible: the first line ends with the answer's words, ignoring case and punctuation.
    Symbols that are not mathematical, such as currencies, count only if the answer has one.
    """
    text = completion.text.strip()
    strict = text == example.required_answer
    decorated = bool(_DECORATION.search(example.required_answer))
    wanted = words_of(example.required_answer, decorated)
    if not wanted:  # an answer of punctuation only
        return Score(text, strict, strict)
    first_line = text.partition("\n")[0]
    last = words_of(first_line, decorated)[-len(wanted) :]
    return Score(" ".join(last), strict, strict or last == wanted)


# lm-evaluation-harness, tasks/gsm8k/gsm8k.yaml: its two filters
_STRICT_NUMBER = re.compile(r"#### (\-?[0-9\.\,]+)")
_FLEXIBLE_NUMBER = re.compile(r"(-?[$0-9.,]{2,})|(-?[0-9]+)")


def score_number(completion: Completion, example: Example) -> Score:
    """A number, as lm-evaluation-harness scores GSM8K.

    The answer is the number, or a worked solution that ends in `#### <number>`.
    strict: the first number that follows `#### `. flexible: the last number of the completion.
    """
    wanted = _plain_number(example.required_answer)
    marked = _STRICT_NUMBER.search(completion.text)
    numbers = [match.group() for match in _FLEXIBLE_NUMBER.finditer(completion.text)]
    prediction = _plain_number(numbers[-1]) if numbers else ""
    return Score(
        prediction=prediction,
        strict=marked is not None and _plain_number(marked.group(1)) == wanted,
        flexible=prediction == wanted,
    )


def score_choice(completion: Completion, example: Example) -> Score:
    """The generated label.

    strict: the completion is the answer's label, apart from white space around it.
    flexible: the label alone on the first line, else the first label announced as the answer ("The
    answer is (B)", "答案是B"), else the first label mentioned.

    Punctuation around a label is optional (`B` for the label `(B)`) unless it alone distinguishes
    two labels. Case matters for labels of one letter only. A label must not touch other letters or
    digits; a label in Latin letters or digits may touch other scripts, because Chinese has no
    spaces. If two labels match at one place, the longer counts.
    """
    prediction = _read_label(completion.text, completion.labels)
    strict = completion.text.strip() == example.required_answer
    return Score(prediction, strict, prediction == example.required_answer)


def score_likelihood(completion: Completion, example: Example) -> Score:
    """The likeliest label, as lm-evaluation-harness scores `multiple_choice`.

    strict: the label with the highest probability, its `acc`; this is the prediction.
    flexible: the label with the highest log-probability per byte, its `acc_norm` (per character
    there: the same for ASCII labels).
    loss: −log of the answer's probability among the labels only, so that it is comparable with a
    classification head's.
    """
    losses, answer = completion.losses, example.required_answer
    likeliest = min(losses, key=lambda label: losses[label])
    per_byte = min(losses, key=lambda label: losses[label] / len(label.encode()))
    probabilities = [math.exp(losses[likeliest] - loss) for loss in losses.values()]
    loss = losses[answer] - losses[likeliest] + math.log(sum(probabilities))
    return Score(likeliest, likeliest == answer, per_byte == answer, loss)


# "answer" in the languages of MGSM and some more, as in lm-evaluation-harness and simple-evals, and
# the words between it and a label
_ANSWER = "|".join(
    (
        "answer|(?:correct|right|best) (?:option|choice)|antwort|respuesta|réponse|resposta",
        "risposta|ответ|jibu|답|答案|答え|回答|คำตอบ|উত্তর|उत्तर|జవాబు|الإجابة|الجواب",
    )
)
_IS = "is|would be|should be|ist|lautet|es|est|é|è|ni|은|는|是|为|為|は|คือ|है|هي|هو"
_WORD_ENDS = r"(?:(?<!\p{Latin})|(?!\p{Latin}))"
_ANNOUNCED = rf"(?i:{_ANSWER})[\W_]*(?i:(?:{_IS}){_WORD_ENDS}[\W_]*(?:(?:option|choice)[\W_]*)?)?"


def _read_label(text: str, labels: Iterable[str]) -> str:
    """The label in a text; empty if there is none."""
    named: list[tuple[int, int, int, bool, str]] = []
    names = {label: re.sub(r"^\W+|\W+$", "", label) or label for label in labels}
    for label, bare in names.items():
        if list(names.values()).count(bare) > 1:  # only punctuation distinguishes them
            bare = label
        spaced = re.search("[a-zA-Z0-9]", bare[0] + bare[-1])
        letter = r"[\p{Latin}\p{M}\p{N}_]" if spaced else r"[\w\p{M}]"
        name = (
            rf"(?P<name>(?i:{regex.escape(bare)}))"
            if len(bare) > 1
            else rf"(?P<name>{regex.escape(bare)})"
        )
        # the last name in a line decides whether it is alone there: others have a tail as long,
        # and a text of 100,000 hyphens would be read as often
        readings = (
            rf"\A(?:[\W_]*\n)?(?>(?:(?!\n)[\W_])*{name})[^\w\n]*+(?:\n|\Z)",
            rf"{_ANNOUNCED}(?<!\p{{Latin}}){name}(?!{letter})",
            rf"(?<!{letter}){name}(?!{letter})",
        )
        for rank, reading in enumerate(readings):
            if match := regex.search(reading, text):
                other_case = match["name"] != bare
                named.append((rank, match.start("name"), -len(bare), other_case, label))
    return min(named)[-1] if named else ""


_DECORATION = regex.compile(r"[\p{Sc}\p{So}]")
# the sign of a number, then letters, digits, marks and symbols except the separators `=` and `|`,
# with punctuation between digits and the `#` of a name such as C#
_WORD = regex.compile(
    r"""
    (?: (?<![\w\p{M}]) (?: - | [<>]=? ) (?= \.?\d ) )?
    (?: (?<![\w.]) \. (?=\d) )?
    (?: [[\p{L}\p{M}\p{N}\p{Sm}\p{Sc}\p{So}]--[=|<>]] | (?<=\d)[-.,:/](?=\d) | (?<=\p{L})\# )+
    """,
    regex.VERSION1 | regex.VERBOSE,
)


def words_of(text: str, decorated: bool = False) -> list[str]:
    """The words of a text, in lower case and without punctuation.

    Mathematical symbols (`C++`, `≤5`), combining marks, the sign of a number and punctuation
    between its digits are part of a word. decorated: so are other symbols (`€`, `°`).
    """
    text = unicodedata.normalize("NFC", text.casefold()).replace("\N{MINUS SIGN}", "-")
    words: list[str] = _WORD.findall(text if decorated else _DECORATION.sub(" ", text))
    return words


def _plain_number(text: str) -> str:
    """Without what the harness's metric ignores: `,`, `\\$`, `(?s).*#### ` and `\\.$`."""
    text = text.replace(",", "").replace("$", "").rpartition("#### ")[2]
    return re.sub(r"\.$", "", text).strip().casefold()


def _marked_number(example: Example) -> tuple[str, ...]:
    """The answer as the strict reading wants it: after `#### `."""
    if "#### " in example.required_answer:
        return answer_alone(example)
    return (f"#### {score_number(Completion(example.required_answer), example).prediction}",)


ANSWER_SCORERS = {
    "word": ItemScorer(score_word),
    "number": ItemScorer(
        score_number,
        _marked_number,
        "it reads one number in digits, like -1,234.5, alone or after `#### `; correct the item "
        "or use scorer `word`",
    ),
    "choice": ItemScorer(score_choice),
    "likelihood": ItemScorer(score_likelihood, best=None),
}
