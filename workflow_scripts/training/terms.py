"""What the terms of a condition read, and their columns in a training log. Needs no torch."""

from __future__ import annotations

from workflow_scripts.config.conditions import ConditionSettings
from workflow_scripts.config.slices import RunSlice
from workflow_scripts.config.teachers import TargetSettings
from workflow_scripts.config.terms import GoldTerm, Term
from workflow_scripts.teachers.targets import target_name
from workflow_scripts.training.objectives import OBJECTIVES
from workflow_scripts.training.objectives.objective import Reads


def reads_of(term: Term) -> Reads:
    """What the term reads of its teachers and of the student."""
    return OBJECTIVES[term.objective].reads(term)


def reads_answers(term: Term) -> bool:
    """Whether the term needs answers to train on, whoever wrote them."""
    reads = reads_of(term)
    positions = [place.position for place in (reads.states, reads.target) if place is not None]
    return isinstance(term, GoldTerm) or "answer" in [reads.logits, *positions]


def term_name(term: Term) -> str:
    """The term's column in a training log; no two terms of a condition share it."""
    where = (getattr(term, key, None) for key in ("site", "position"))
    return "-".join([term.objective, *filter(None, where)])


def teachers_of(term: Term, teacher: str | None) -> tuple[str, ...]:
    """Teachers whose targets the term reads, in a condition with this teacher."""
    reads = reads_of(term)
    if reads.target is None or teacher is None:
        return ()
    return (teacher,) if reads.reference is None else (teacher, reads.reference)


def targets_of(condition: ConditionSettings) -> tuple[tuple[str, TargetSettings], ...]:
    """Teachers and their targets that the terms read, each pair once."""
    pairs = [
        (teacher, target)
        for term in condition.terms
        if (target := reads_of(term).target) is not None
        for teacher in teachers_of(term, condition.teacher)
    ]
    return tuple(dict.fromkeys(pairs))


def target_names(run: RunSlice, term: Term) -> tuple[str, ...]:
    """Names of the targets that a term of the run reads, the teacher's before the reference's."""
    target = reads_of(term).target
    if target is None:
        return ()
    return tuple(f"{teacher}/{target_name(target)}" for teacher in teachers_of(term, run.teacher))
