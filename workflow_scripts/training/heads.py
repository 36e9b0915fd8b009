"""A student's head: the model's language head, or a new classification head."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedModel

from workflow_scripts.config.conditions import Head
from workflow_scripts.config.slices import RunSlice
from workflow_scripts.modeling.architectures import site_parts
from workflow_scripts.modeling.language_head import after_head
from workflow_scripts.modeling.loading import LocalModel, load_classifier, load_weights
from workflow_scripts.training.batches import (
    Collator,
    PhaseCollator,
    PromptCollator,
    RenderedExample,
    refuse_ending_in,
)
from workflow_scripts.training.forward import ForwardPlan, classifier_outputs, student_outputs
from workflow_scripts.training.objectives.outputs import StudentOutputs

Forward = Callable[[Any, dict[str, Any]], StudentOutputs]


@dataclass(frozen=True)
class HeadedModel:
    """An untrained model with its collator and its forward pass over a batch."""

    weights: PreTrainedModel
    collator: PhaseCollator
    forward: Forward


def load_headed(
    settings: RunSlice, model: LocalModel, examples: Sequence[RenderedExample]
) -> HeadedModel:
    """The model with the run's head; a new head is random, from torch's seed.

    Raises InputError when a prompt ends in the padding token of a classifier.
    """
    return _HEADS[settings.head](settings, model, examples)


def _language(
    settings: RunSlice, model: LocalModel, examples: Sequence[RenderedExample]
) -> HeadedModel:
    plans = [ForwardPlan.of(phase.terms) for phase in settings.phases]
    weights = load_weights(model)
    for site in dict.fromkeys(site for plan in plans for site in plan.sites):
        site_parts(weights, site)  # is verified now: weights may be sharded later
    steps = after_head(weights)

    def forward(student: Any, batch: dict[str, Any]) -> StudentOutputs:
        return student_outputs(student, batch, plans[batch["phase"]], steps)

    collator = PhaseCollator([Collator(plan.positions) for plan in plans])
    return HeadedModel(weights, collator, forward)


def _classification(
    settings: RunSlice, model: LocalModel, examples: Sequence[RenderedExample]
) -> HeadedModel:
    labels = settings.labels or ()
    classifier = load_classifier(model, len(labels))
    # a checkpoint's config names its outputs
    classifier.config.id2label = dict(enumerate(labels))
    classifier.config.label2id = {label: index for index, label in enumerate(labels)}
    padding = classifier.config.pad_token_id
    refuse_ending_in(padding, examples)
    collator = PhaseCollator([PromptCollator(padding)] * len(settings.phases))
    return HeadedModel(classifier, collator, classifier_outputs)


_HEADS: dict[Head, Callable[[RunSlice, LocalModel, Sequence[RenderedExample]], HeadedModel]] = {
    "language": _language,
    "classification": _classification,
}
