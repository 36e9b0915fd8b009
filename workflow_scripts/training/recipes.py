"""From a condition to the settings of its runs: phases, examples, weighted terms and steps."""

from __future__ import annotations

import math
from collections.abc import Sequence

from workflow_scripts.config.conditions import ConditionSettings, PhaseSettings
from workflow_scripts.config.slices import (
    ContextSettings,
    PhaseSlice,
    RunSlice,
    TeacherTarget,
    TrainingSlice,
)
from workflow_scripts.config.tasks import PromptSettings
from workflow_scripts.config.terms import Term
from workflow_scripts.config.training import Optimization, TrainingSettings
from workflow_scripts.training.terms import reads_of


def run_of(
    condition: ConditionSettings,
    training: TrainingSettings,
    *,
    prompt: PromptSettings,
    labels: tuple[str, ...] | None,
    items: Sequence[int],
    reads: Sequence[tuple[TeacherTarget, ...]],
    demonstrations: Sequence[ContextSettings | None],
    seed: int,
) -> RunSlice:
    """A run of the condition.

    training: shared by all conditions.
    labels: of the task; kept where a term reads them.
    items, reads, demonstrations: of each of `condition.trained_phases`; items: those that may be
    trained on, for a phase on demonstrations the number of these.
    Raises ValueError as `phase_steps` does.
    """
    if condition.learning_rate is not None:
        training = training.model_copy(update={"learning_rate": condition.learning_rate})
    phases = tuple(
        PhaseSlice(
            terms=_weighted_terms(phase.terms, condition.alpha),
            reads=targets,
            author=phase.answers.by,
            demonstrations=shown,
            train_items=examples_of(phase, available),
            steps=steps,
        )
        for phase, available, targets, shown, steps in zip(
            condition.trained_phases * rounds_of(condition),
            tuple(items) * rounds_of(condition),
            tuple(reads) * rounds_of(condition),
            tuple(demonstrations) * rounds_of(condition),
            phase_steps(condition, training, items),
            strict=True,
        )
    )
    return RunSlice(
        prompt=prompt,
        labels=labels if any(reads_of(term).labels for term in condition.all_terms) else None,
        teacher=condition.teacher,
        phases=phases,
        head=condition.head,
        adapter=condition.adapter or training.adapter,
        training=in_steps(training, phases[0].train_items),
        seed=seed,
    )


def rounds_of(condition: ConditionSettings) -> int:
    """Rounds in which the student answers; 1 for other authors."""
    return condition.trained_phases[0].answers.rounds or 1


def items_of(recipe: ConditionSettings | PhaseSettings, items: int) -> int:
    """Number of a task's training items that a condition or phase trains on."""
    return min(recipe.train_items or items, items)


def examples_of(phase: PhaseSettings, items: int) -> int:
    """Largest number of examples that a phase trains on: each sampled answer is one."""
    return items_of(phase, items) * phase.answers.samples


def phase_steps(
    condition: ConditionSettings, training: TrainingSettings, items: Sequence[int]
) -> tuple[int, ...]:
    """Optimizer steps of each phase of a run; a student that answers has one for each round.

    items: as `run_of` takes them.
    Raises ValueError when `training.steps` cannot be divided so.
    """
    phases, rounds = condition.trained_phases, rounds_of(condition)
    if len(phases) == 1:
        total = in_steps(training, examples_of(phases[0], items[0])).steps
        if total % rounds:
            raise ValueError(f"{total} steps cannot be divided into {rounds} equal rounds")
        given = phases[0].steps
        if given is not None and given != total:
            raise ValueError(f"its only phase has {given} steps, but training has {total}")
        return (total // rounds,) * rounds
    if training.steps is None:
        raise ValueError("phases need `training.steps`; `epochs` is for one set of items")
    given_steps = [phase.steps for phase in phases if phase.steps is not None]
    left = training.steps - sum(given_steps)
    if len(given_steps) == len(phases):
        if left:
            raise ValueError(
                f"its phases have {sum(given_steps)} steps together, but training has "
                f"{training.steps}; leave out `steps` of the last phase"
            )
        return tuple(given_steps)
    if left < 1:
        raise ValueError(
            f"its phases before the last have {sum(given_steps)} steps, which leaves none of the "
            f"{training.steps} of training"
        )
    return (*given_steps, left)


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


def _weighted_terms(terms: Sequence[Term], alpha: float | None) -> tuple[Term, ...]:
    """The terms with `alpha` multiplied into their weights."""
    if alpha is None:
        return tuple(terms)
    shares = [1 - alpha if reads_of(term).target is None else alpha for term in terms]
    return tuple(
        term.model_copy(update={"weight": term.weight * share})
        for term, share in zip(terms, shares, strict=True)
    )
