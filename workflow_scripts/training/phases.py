"""Where the phases of a run end, and the columns of its log. Needs no torch."""

from __future__ import annotations

from itertools import accumulate

from workflow_scripts.config.slices import RunSlice
from workflow_scripts.training.terms import term_name


def ends_of(run: RunSlice) -> tuple[int, ...]:
    """The last optimizer step of each phase."""
    return tuple(accumulate(phase.steps for phase in run.phases))


def logged_terms(run: RunSlice) -> tuple[str, ...]:
    """Names of the terms of all phases, each once."""
    names = (term_name(term) for phase in run.phases for term in phase.terms)
    return tuple(dict.fromkeys(names))
