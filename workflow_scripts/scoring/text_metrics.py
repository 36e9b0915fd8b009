"""Scorers of free text, from 0 to 1, against the references of an item.

White space around a completion is removed. With several references, each metric takes the best
one. Libraries are imported where they are used: they take seconds, and most tasks need none.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from functools import cache
from typing import Any

from workflow_scripts.runtime.errors import InputError
from workflow_scripts.scoring.answers import Completion, ItemScorer, Score, words_of
from workflow_scripts.tasks.examples import Example


def score_span(completion: Completion, example: Example) -> Score:
    """A span of a text, as SQuAD's own script scores it (Rajpurkar et al. 2016).

    strict: exact match. flexible: F1 of words. Both ignore case, punctuation and articles; texts
    with nothing else are compared as in version 2 of the script.
    """
    text = completion.text.strip()
    own = _normalised(text)
    wanted = [_normalised(reference) for reference in example.accepted]
    return Score(text, float(own in wanted), max(_f1(own, other) for other in wanted))


def _normalised(text: str) -> list[str]:
    bare = text.lower().translate(str.maketrans("", "", string.punctuation))
    return re.sub(r"\b(a|an|the)\b", " ", bare).split()


def _f1(own: list[str], wanted: list[str]) -> float:
    if not own or not wanted:
        return float(own == wanted)
    shared = sum((Counter(own) & Counter(wanted)).values())
    return 2 * shared / (len(own) + len(wanted))


def score_rouge(completion: Completion, example: Example) -> Score:
    """ROUGE (Lin 2004) by rouge-score, without its stemmer: F-measures of words.

    strict: ROUGE-L, longest common subsequence. flexible: ROUGE-1, single words.
    The library splits words at any character but a–z and digits.
    """
    text = completion.text.strip()
    scores = _rouge().score_multi(example.accepted, text)
    return Score(text, float(scores["rougeL"].fmeasure), float(scores["rouge1"].fmeasure))


def score_bleu(completion: Completion, example: Example) -> Score:
    """Sentence BLEU and chrF by sacrebleu (Post 2018), from 0 to 1.

    strict: BLEU with effective order, by all references together. flexible: chrF (Popović 2015).
    """
    text, references = completion.text.strip(), list(example.accepted)
    bleu, chrf = (float(m.sentence_score(text, references).score) / 100 for m in _sacrebleu())
    # rounding puts a text that equals its reference just above 1
    return Score(text, min(bleu, 1.0), min(chrf, 1.0))


def score_coverage(completion: Completion, example: Example) -> Score:
    """The share of the references, each a word or phrase, that the text contains.

    strict: in the given form, ignoring case. flexible: by stem (Porter 1980).
    Raises InputError for an item without references.
    """
    if not example.references:
        raise InputError(
            f"item {example.item}: has no references, and `coverage` is a share of them; set "
            "`data.fields.references` or use another scorer"
        )
    text = completion.text.strip()
    own, concepts = words_of(text), [words_of(concept) for concept in example.references]
    by_form = [_holds(own, concept) for concept in concepts]
    stems = _stems(own)
    by_stem = [_holds(stems, _stems(concept)) for concept in concepts]
    return Score(text, sum(by_form) / len(concepts), sum(by_stem) / len(concepts))


def _holds(text: list[str], phrase: list[str]) -> bool:
    """Whether a text contains the words of a phrase side by side."""
    return bool(phrase) and f" {' '.join(phrase)} " in f" {' '.join(text)} "


def _stems(words: list[str]) -> list[str]:
    return [_porter().stem(word) for word in words]


@cache
def _rouge() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL", "rouge1"])


@cache
def _sacrebleu() -> tuple[Any, Any]:
    from sacrebleu.metrics import BLEU, CHRF

    return BLEU(effective_order=True), CHRF()


@cache
def _porter() -> Any:
    from nltk.stem.porter import PorterStemmer

    return PorterStemmer()


def _accepted(example: Example) -> tuple[str, ...]:
    return example.accepted


def _all_references(example: Example) -> tuple[str, ...]:
    return (" ".join(example.references),)


TEXT_SCORERS = {
    "span": ItemScorer(score_span, _accepted),
    "rouge": ItemScorer(
        score_rouge,
        _accepted,
        "it reads the letters a to z and digits only; use scorer `bleu` or `span`",
    ),
    "bleu": ItemScorer(score_bleu, _accepted),
    "coverage": ItemScorer(
        score_coverage,
        _all_references,
        "it looks for words, and a reference has none; remove that reference",
    ),
}
