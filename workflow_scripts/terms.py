"""What the terms of a condition are called, and which teacher targets they read."""

from __future__ import annotations

from workflow_scripts.config.slices import RunSlice, TeacherTarget
from workflow_scripts.config.teachers import TargetSettings
from workflow_scripts.config.terms import (
    DeltaHiddenTerm,
    GoldTerm,
    LabelCrossEntropyTerm,
    LabelKLTerm,
    LogitKLTerm,
    LogitMSETerm,
    StatesTerm,
    Term,
    ULDTerm,
)

LABEL_TERMS = (LabelCrossEntropyTerm, LabelKLTerm)


def term_name(term: Term) -> str:
    """The term's column in a training log; no two terms of a condition share it."""
    if isinstance(term, StatesTerm):
        return f"{term.objective}-{term.site}-{term.position}"
    if isinstance(term, LogitKLTerm | LogitMSETerm):
        return f"{term.objective}-{term.position}"
    return term.objective


def target_of(term: Term) -> TargetSettings | None:
    """What the term reads of a teacher; None of a term on the correct answer."""
    if isinstance(term, GoldTerm):
        return None
    if isinstance(term, StatesTerm):
        return TargetSettings(kind="hidden", site=term.site, position=term.position)
    if isinstance(term, LabelKLTerm):
        return TargetSettings(kind="labels", position="prompt")
    if isinstance(term, ULDTerm):
        return TargetSettings(
            kind="sorted", position="answer", top_k=term.top_k, temperature=term.temperature
        )
    temperature = term.temperature if isinstance(term, LogitKLTerm) else 1.0
    return TargetSettings(
        kind="logits", position=term.position, top_k=term.top_k, temperature=temperature
    )


def target_name(target: TargetSettings) -> str:
    """The target's identity and the name of its folder: no two targets share it."""
    if target.kind == "labels":
        return "labels"
    if target.kind == "hidden":
        return f"hidden-{target.site}-{target.position}"
    return f"{target.kind}-{target.position}-top{target.top_k}-t{target.temperature:g}"


def teacher_target_name(read: TeacherTarget) -> str:
    return f"{read.teacher}/{target_name(read.target)}"


def teachers_of(term: Term, teacher: str | None) -> tuple[str, ...]:
    """Whose targets a term reads, in a condition with this teacher; none for cross-entropy."""
    if isinstance(term, GoldTerm) or teacher is None:
        return ()
    return (teacher, term.reference) if isinstance(term, DeltaHiddenTerm) else (teacher,)


def reads_of(run: RunSlice, term: Term) -> tuple[str, ...]:
    """Names of the reads that a term of the run takes, the teacher's first."""
    target = target_of(term)
    if target is None:
        return ()
    return tuple(f"{teacher}/{target_name(target)}" for teacher in teachers_of(term, run.teacher))
