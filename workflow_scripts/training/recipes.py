"""From a condition to the settings of its runs: items, weighted terms and optimizer steps."""

from __future__ import annotations

import math

from workflow_scripts.config.conditions import ConditionSettings
from workflow_scripts.config.slices import RunSlice, TeacherTarget, TrainingSlice
from workflow_scripts.config.tasks import PromptSettings
from workflow_scripts.config.terms import Term
from workflow_scripts.config.training import Optimization, TrainingSettings
from workflow_scripts.training.terms import reads_of


def run_of(
    condition: ConditionSettings,
    training: TrainingSettings,
    *,
    items: int,
    prompt: PromptSettings,
    labels: tuple[str, ...] | None,
    reads: tuple[TeacherTarget, ...],
    seed: int,
) -> RunSlice:
    """A run of the condition.

    training: shared by all conditions. items: training items of the task.
    labels: of the task; kept where a term reads them. reads: the condition's teacher targets.
    """
    if condition.learning_rate is not None:
        training = training.model_copy(update={"learning_rate": condition.learning_rate})
    train_items = items_of(condition, items)
    reads_labels = any(reads_of(term).labels for term in condition.terms)
    return RunSlice(
        prompt=prompt,
        labels=labels if reads_labels else None,
        teacher=condition.teacher,
        terms=weighted_terms(condition),
        reads=reads,
        head=condition.head,
        adapter=condition.adapter or training.adapter,
        train_items=train_items,
        training=in_steps(training, train_items),
        seed=seed,
    )


def items_of(condition: ConditionSettings, items: int) -> int:
    """Number of a task's training items that a condition trains on."""
    return min(condition.train_items or items, items)


def weighted_terms(condition: ConditionSettings) -> tuple[Term, ...]:
    """The terms with `alpha` multiplied into their weights."""
    alpha = condition.alpha
    if alpha is None:
        return condition.terms
    shares = [1 - alpha if reads_of(term).target is None else alpha for term in condition.terms]
    return tuple(
        term.model_copy(update={"weight": term.weight * share})
        for term, share in zip(condition.terms, shares, strict=True)
    )


def in_steps(training: TrainingSettings, items: int) -> TrainingSlice:
    """The recipe of a run on `items` items. The step in which an epoch ends belongs to it."""
    last = training.steps if training.epochs is None else training.epochs
    assert last is not None
    steps, *checkpoints = (
        count if training.epochs is None else math.ceil(count * items / training.batch_size)
        for count in (last, *training.checkpoints)
    )
    warmup = training.warmup_steps
    return TrainingSlice(
        **{name: getattr(training, name) for name in Optimization.model_fields},
        steps=steps,
        checkpoints=tuple(dict.fromkeys(checkpoints)),
        warmup_steps=math.ceil(warmup * steps if warmup < 1 else warmup),
    )
