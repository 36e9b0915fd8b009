"""Completions scored against the answers."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

import pandas as pd

from workflow_scripts.config.slices import ScoringSlice
from workflow_scripts.config.tasks import EncoderSettings
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.scoring.answers import ANSWER_SCORERS, Completion, Score
from workflow_scripts.scoring.text_metrics import TEXT_SCORERS
from workflow_scripts.tasks.examples import Example

# by name; BERTScore and mixtures score all completions together
ITEM_SCORERS = ANSWER_SCORERS | TEXT_SCORERS


def score_completions(
    completions: pd.DataFrame, examples: Iterable[Example], settings: ScoringSlice
) -> pd.DataFrame:
    """The completions with the columns `prediction` (text), `strict` and `flexible` (0 to 1).

    `answer_loss` stays the loss of the answer's tokens unless the scorer has a loss of its own.

    completions: rows with `item`, `completion` and `answer_loss`, and `choice_losses` in a choice
    task, unless its scorer reads the text.
    examples: the task's, at least those completed.
    Raises InputError for an item that is no example or lacks what its scorer compares with.
    """
    by_item = {example.item: example for example in examples}
    unknown = set(completions["item"]) - set(by_item)
    if unknown:
        raise InputError(
            f"item {min(unknown)}: completed, but not among the task's examples; "
            "delete the completions and rerun"
        )
    answered = [by_item[item] for item in completions["item"]]
    scores = _scores(_readable(completions, settings.labels), answered, settings)
    index = completions.index
    return completions.assign(
        answer_loss=[
            loss if scored.loss is None else scored.loss
            for scored, loss in zip(scores, completions["answer_loss"], strict=True)
        ],
        prediction=pd.Series([s.prediction for s in scores], index, dtype="str"),
        strict=pd.Series([s.strict for s in scores], index, dtype="float64"),
        flexible=pd.Series([s.flexible for s in scores], index, dtype="float64"),
    )


def of_text(settings: ScoringSlice) -> ScoringSlice:
    """The settings that score a text, where the labels' losses are not known."""
    if settings.scorer == "likelihood":
        return settings.model_copy(update={"scorer": "choice"})
    return settings


def score_answers(
    answers: pd.DataFrame, examples: Iterable[Example], settings: ScoringSlice
) -> pd.DataFrame:
    """Generated answers with the columns `strict` and `flexible` (0 to 1), against gold answers.

    Both are NaN for an item that has none. A label that was chosen by its probability is scored as
    one that was written.

    answers: rows with `item` and `answer`.
    examples: the task's, at least those answered.
    Raises InputError as `score_completions`.
    """
    unlabelled = {example.item for example in examples if example.answer is None}
    rows = answers[~answers["item"].isin(unlabelled)]
    scored = score_completions(
        pd.DataFrame({"item": rows["item"], "completion": rows["answer"], "answer_loss": math.nan}),
        examples,
        of_text(settings),
    )
    return answers.assign(strict=scored["strict"], flexible=scored["flexible"])


def _readable(completions: pd.DataFrame, labels: tuple[str, ...] | None) -> list[Completion]:
    if labels is None or "choice_losses" not in completions:
        return [Completion(text, labels or ()) for text in completions["completion"]]
    return [
        Completion(text, labels, dict(zip(labels, losses, strict=True)))
        for text, losses in zip(
            completions["completion"], completions["choice_losses"], strict=True
        )
    ]


def _scores(
    completions: Sequence[Completion], examples: Sequence[Example], settings: ScoringSlice
) -> list[Score]:
    if settings.components:
        return _scores_of_components(completions, examples, settings)
    if settings.encoder is not None:
        return _bert_scores(completions, examples, settings.encoder)
    score = ITEM_SCORERS[settings.scorer].score
    return [score(*pair) for pair in zip(completions, examples, strict=True)]


def _scores_of_components(
    completions: Sequence[Completion], examples: Sequence[Example], settings: ScoringSlice
) -> list[Score]:
    """Each item of a mixture, `<component>/<item>`, by the scorer of its component.

    Label losses are not measured in a mixture, so generated labels are scored instead.
    """
    places: dict[str, list[int]] = defaultdict(list)
    for place, example in enumerate(examples):
        places[example.item.partition("/")[0]].append(place)
    scored: dict[int, Score] = {}
    for component, own in places.items():
        if component not in settings.components:
            raise InputError(
                f"item {examples[own[0]].item}: '{component}' is no component of the mixture; "
                "delete the task's folder and rerun"
            )
        by_component = of_text(settings.components[component])
        scores = _scores(
            [Completion(completions[place].text, by_component.labels or ()) for place in own],
            [examples[place] for place in own],
            by_component,
        )
        scored |= dict(zip(own, scores, strict=True))
    return [scored[place] for place in range(len(examples))]


def _bert_scores(
    completions: Sequence[Completion], examples: Sequence[Example], encoder: EncoderSettings
) -> list[Score]:
    """BERTScore by the best reference: F1 as strict, recall as flexible."""
    from workflow_scripts.scoring.bert_score import bert_scores

    texts = [completion.text.strip() for completion in completions]
    found = bert_scores(texts, [example.accepted for example in examples], encoder)
    return [Score(text, *values) for text, values in zip(texts, found, strict=True)]
