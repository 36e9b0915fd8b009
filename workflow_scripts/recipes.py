"""From a condition to its runs: what they train on, by which terms and for how many steps."""

from __future__ import annotations

import math

from workflow_scripts.config.conditions import ConditionSettings
from workflow_scripts.config.slices import RunSlice, TeacherTarget, TrainingSlice
from workflow_scripts.config.tasks import PromptSettings
from workflow_scripts.config.teachers import TargetSettings
from workflow_scripts.config.terms import GoldTerm, Term
from workflow_scripts.config.training import Optimization, TrainingSettings
from workflow_scripts.terms import LABEL_TERMS, target_of, teachers_of


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

    training: of all conditions. items: training items of the task. labels: of the task.
    reads: of the condition.
    """
    if condition.learning_rate is not None:
        training = training.model_copy(update={"learning_rate": condition.learning_rate})
    train_items = items_of(condition, items)
    reads_labels = any(isinstance(term, LABEL_TERMS) for term in condition.terms)
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
    """How many of a task's training items a condition trains on."""
    return min(condition.train_items or items, items)


def weighted_terms(condition: ConditionSettings) -> tuple[Term, ...]:
    """The terms, their weights multiplied by what `alpha` makes of them."""
    if condition.alpha is None:
        return condition.terms
    alpha = condition.alpha
    return tuple(
        term.model_copy(
            update={"weight": term.weight * (1 - alpha if isinstance(term, GoldTerm) else alpha)}
        )
        for term in condition.terms
    )


def targets_of(condition: ConditionSettings) -> tuple[tuple[str, TargetSettings], ...]:
    """Teachers and their targets that the terms read, each pair once."""
    pairs = [
        (teacher, target)
        for term in condition.terms
        if (target := target_of(term)) is not None
        for teacher in teachers_of(term, condition.teacher)
    ]
    return tuple(dict.fromkeys(pairs))


def in_steps(training: TrainingSettings, items: int) -> TrainingSlice:
    """The recipe of a run on this many items. A step that an epoch ends in belongs to it."""
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
