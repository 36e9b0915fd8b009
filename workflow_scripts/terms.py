"""What the terms of a condition are called, and which teacher signals they read."""

from __future__ import annotations

from workflow_scripts.config.slices import Reading, RunSlice
from workflow_scripts.config.teachers import SignalSettings
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


def signal_of(term: Term) -> SignalSettings | None:
    """What the term reads of a teacher; None of a term on the correct answer."""
    if isinstance(term, GoldTerm):
        return None
    if isinstance(term, StatesTerm):
        return SignalSettings(kind="hidden", site=term.site, position=term.position)
    if isinstance(term, LabelKLTerm):
        return SignalSettings(kind="labels", position="prompt")
    if isinstance(term, ULDTerm):
        return SignalSettings(
            kind="sorted", position="answer", top_k=term.top_k, temperature=term.temperature
        )
    temperature = term.temperature if isinstance(term, LogitKLTerm) else 1.0
    return SignalSettings(
        kind="logits", position=term.position, top_k=term.top_k, temperature=temperature
    )


def signal_name(signal: SignalSettings) -> str:
    """The signal's identity and the name of its folder: no two signals share it."""
    if signal.kind == "labels":
        return "labels"
    if signal.kind == "hidden":
        return f"hidden-{signal.site}-{signal.position}"
    return f"{signal.kind}-{signal.position}-top{signal.top_k}-t{signal.temperature:g}"


def reading_name(reading: Reading) -> str:
    return f"{reading.teacher}/{signal_name(reading.signal)}"


def teachers_of(term: Term, teacher: str | None) -> tuple[str, ...]:
    """Whose signals a term reads, in a condition with this teacher; none for cross-entropy."""
    if isinstance(term, GoldTerm) or teacher is None:
        return ()
    return (teacher, term.reference) if isinstance(term, DeltaHiddenTerm) else (teacher,)


def readings_of(run: RunSlice, term: Term) -> tuple[str, ...]:
    """Names of the readings that a term of the run takes, the teacher's first."""
    signal = signal_of(term)
    if signal is None:
        return ()
    return tuple(f"{teacher}/{signal_name(signal)}" for teacher in teachers_of(term, run.teacher))
