"""The scorers: what each needs of its task, and what its two scores are called.

A scorer is a row here and a function of the same name in `scoring/`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from workflow_scripts.config.tasks import TaskSettings


class Scores(NamedTuple):
    """Names of a scorer's two scores, and of both in general."""

    strict: str
    flexible: str
    noun: str = "score"

    def against(self, reference: str) -> Scores:
        """Their names where the answers of this teacher stand for gold."""
        if self.noun == ACCURACIES.noun:
            agreement = f"agreement with {reference}"
            return Scores(agreement, f"flexible {agreement}", "agreement")
        return Scores(f"{self.strict} against {reference}", f"{self.flexible} against {reference}")


ACCURACIES = Scores("strict accuracy", "flexible accuracy", "accuracy")


@dataclass(frozen=True)
class Scorer:
    """One scorer.

    description: what it compares, for docs/configuration.md.
    labels: it needs a task with labels.
    ranks_labels: it compares the losses of the labels and reads no text.
    graded: it compares free text with references, from 0 to 1; the task has no labels.
    references: it needs `data.fields.references`.
    encoder: it needs `scoring.encoder`.
    mixture: it is the scorer of mixtures.
    card: what the two scores count, for model cards.
    hub: the metric's id on the Hugging Face hub.
    harness: the two metrics of lm-evaluation-harness; one name twice where filters tell them apart.
    """

    description: str
    labels: bool = False
    ranks_labels: bool = False
    graded: bool = False
    references: bool = False
    encoder: bool = False
    mixture: bool = False
    names: Scores = ACCURACIES
    card: str = ""
    hub: str = "exact_match"
    harness: tuple[str, str] = ("exact_match", "exact_match")


SCORERS = {
    "word": Scorer(
        "the answer is a word or phrase",
        card="Strict: the answer and nothing else; flexible: a first line that ends in it.",
    ),
    "number": Scorer(
        "GSM8K's `#### n`",
        card="Strict: the number after `####`; flexible: the last number.",
    ),
    "choice": Scorer(
        "the generated label of a choice task",
        labels=True,
        card="Strict: the label and nothing else; flexible: the first label named.",
    ),
    "likelihood": Scorer(
        "the likeliest label of a choice task",
        labels=True,
        ranks_labels=True,
        card="Strict: the likeliest label; flexible: the likeliest per byte.",
        hub="accuracy",
        harness=("acc", "acc_norm"),
    ),
    "span": Scorer(
        "exact match and F1 of SQuAD, by the best reference",
        graded=True,
        names=Scores("exact match", "F1 of words"),
        hub="squad",
        harness=("em", "f1"),
    ),
    "rouge": Scorer(
        "ROUGE-L and ROUGE-1, by the best reference",
        graded=True,
        names=Scores("ROUGE-L", "ROUGE-1"),
        hub="rouge",
        harness=("rougeL", "rouge1"),
    ),
    "bleu": Scorer(
        "sentence BLEU by all references, and chrF by the best",
        graded=True,
        names=Scores("sentence BLEU", "chrF"),
        hub="bleu",
        harness=("bleu", "chrf"),
    ),
    "coverage": Scorer(
        "share of the references that the text contains, by form and by stem",
        graded=True,
        references=True,
        names=Scores("coverage", "coverage by stem"),
        hub="coverage",
        harness=("coverage", "coverage_stem"),
    ),
    "bert_score": Scorer(
        "F1 and recall of BERTScore, by the best reference",
        graded=True,
        encoder=True,
        names=Scores("BERTScore F1", "BERTScore recall"),
        hub="bertscore",
        harness=("bertscore_f1", "bertscore_recall"),
    ),
    "components": Scorer(
        "each item of a mixture by the scorer of its own task",
        mixture=True,
        names=Scores("strict score", "flexible score"),
        card="Strict and flexible as each item's own task is scored.",
        hub="score",
        harness=("score_strict", "score_flexible"),
    ),
}


def judge_of(task: TaskSettings) -> str | None:
    """The teacher whose answers stand for gold on test items; None where they are gold."""
    return task.reference if "test" in task.data.unlabelled else None
