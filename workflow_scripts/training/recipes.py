"""From a condition to the settings of its runs: phases, examples, weighted terms and steps."""

from __future__ import annotations

import math
from collections.abc import Sequence

from workflow_scripts.config.conditions import ConditionSettings, PhaseSettings
from workflow_scripts.config.slices import PhaseData, PhaseSlice, RunSlice, TrainingSlice
from workflow_scripts.config.tasks import PromptSettings
from workflow_scripts.config.terms import Term
from workflow_scripts.config.training import Optimization, TrainingSettings
from workflow_scripts.training.terms import all_terms, reads_of, trained_phases


def run_of(
    condition: ConditionSettings,
    training: TrainingSettings,
    *,
    prompt: PromptSettings,
    labels: tuple[str, ...] | None,
    phases: Sequence[PhaseData],
    seed: int,
) -> RunSlice:
    """A run of the condition.

    training: shared by all conditions.
    labels: of the task; kept where a term reads them.
    phases: what each phase may train on; a round of a student is a phase.
    Raises ValueError as `phase_steps` does, and when several phases are given `epochs`.
    """
    if condition.phases and training.epochs is not None:
        raise ValueError("need `training.steps`, not `epochs`, which are of one set of items")
    if condition.learning_rate is not None:
        training = training.model_copy(update={"learning_rate": condition.learning_rate})
    repeated = [phase for phase in trained_phases(condition) for _ in range(_rounds_of(phase))]
    counts = [_examples_of(phase, data) for phase, data in zip(repeated, phases, strict=True)]
    recipe = in_steps(training, counts[0])
    return RunSlice(
        prompt=prompt,
        labels=labels if any(reads_of(term).labels for term in all_terms(condition)) else None,
        teacher=condition.teacher,
        phases=tuple(
            PhaseSlice(
                terms=_weighted_terms(phase.terms, condition.alpha),
                reads=data.reads,
                author=phase.answers.by,
                demonstrations=data.demonstrations,
                train_items=count,
                steps=steps,
            )
            for phase, data, count, steps in zip(
                repeated, phases, counts, phase_steps(condition, recipe.steps), strict=True
            )
        ),
        head=condition.head,
        adapter=condition.adapter or training.adapter,
        training=recipe,
        seed=seed,
    )


def phase_steps(condition: ConditionSettings, total: int) -> tuple[int, ...]:
    """Optimizer steps of each phase of a run; a round of a student is a phase.

    total: steps of the run.
    Raises ValueError when they cannot be divided so.
    """
    first, *others = trained_phases(condition)
    if not others:
        rounds = _rounds_of(first)
        if total % rounds:
            raise ValueError(f"{total} steps cannot be divided into {rounds} equal rounds")
        return (total // rounds,) * rounds
    given = [phase.steps for phase in (first, *others) if phase.steps is not None]
    left = total - sum(given)
    if others[-1].steps is None:
        given.append(left)
    elif left:
        raise ValueError(
            f"have {sum(given)} steps together, but training has {total}; remove `steps` of the "
            "last one, which then has those that are left"
        )
    if given[-1] < 1:
        raise ValueError(
            f"have {total - left} steps before the last one, which leaves none of the {total} of "
            "training; lower them"
        )
    return tuple(given)


def _rounds_of(phase: PhaseSettings) -> int:
    return phase.answers.rounds or 1


def _examples_of(phase: PhaseSettings, data: PhaseData) -> int:
    """Largest number of examples that a phase trains on; each sampled answer is one."""
    if phase.train_items is None:
        return data.items
    return min(phase.train_items * phase.answers.samples, data.items)


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
