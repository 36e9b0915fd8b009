"""What the terms of a condition read, and their columns in a training log. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterable

from workflow_scripts.config.conditions import (
    ConditionSettings,
    PhaseSettings,
    TrainedOn,
)
from workflow_scripts.config.slices import RunSlice
from workflow_scripts.config.teachers import TargetSettings
from workflow_scripts.config.terms import Term
from workflow_scripts.teachers.targets import target_name
from workflow_scripts.training.objectives import OBJECTIVES
from workflow_scripts.training.objectives.objective import Reads


def trained_phases(condition: ConditionSettings) -> tuple[PhaseSettings, ...]:
    """The phases of a condition; one without any is one."""
    if condition.phases:
        return condition.phases
    shared = {name: getattr(condition, name) for name in TrainedOn.model_fields}
    return (PhaseSettings(terms=condition.terms, **shared),)


def all_terms(condition: ConditionSettings) -> tuple[Term, ...]:
    """The terms of all phases, in order."""
    return tuple(term for phase in trained_phases(condition) for term in phase.terms)


def reads_of(term: Term) -> Reads:
    """What the term reads of its teachers and of the student."""
    return OBJECTIVES[term.objective].reads(term)


def reads_answers(term: Term) -> bool:
    """Whether the term reads the answer that an example is trained on, or what follows it."""
    reads = reads_of(term)
    read = {reads.logits, None if reads.states is None else reads.states.position}
    return reads.target is None or "answer" in read


def reads_correct_label(term: Term) -> bool:
    """Whether the term reads which label is an example's answer."""
    reads = reads_of(term)
    return reads.labels and reads.target is None


def term_name(term: Term) -> str:
    """The term's column in a training log; no two terms of a phase share it."""
    where = (getattr(term, key, None) for key in ("site", "position"))
    return "-".join([term.objective, *filter(None, where)])


def teachers_of(term: Term, teacher: str | None) -> tuple[str, ...]:
    """Teachers whose targets the term reads, in a condition with this teacher."""
    reads = reads_of(term)
    if reads.target is None or teacher is None:
        return ()
    return (teacher,) if reads.reference is None else (teacher, reads.reference)


def targets_of(
    terms: Iterable[Term], teacher: str | None
) -> tuple[tuple[str, TargetSettings], ...]:
    """Teachers and their targets that terms of a condition read, each pair once."""
    pairs = [
        (name, target)
        for term in terms
        if (target := reads_of(term).target) is not None
        for name in teachers_of(term, teacher)
    ]
    return tuple(dict.fromkeys(pairs))


def target_names(run: RunSlice, term: Term) -> tuple[str, ...]:
    """Names of the targets that a term of the run reads, the teacher's before the reference's."""
    target = reads_of(term).target
    if target is None:
        return ()
    return tuple(f"{teacher}/{target_name(target)}" for teacher in teachers_of(term, run.teacher))
