"""The phases of a run: their examples, where they end, and the columns of its log."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path

from workflow_scripts.config.slices import PhaseSlice, RunSlice
from workflow_scripts.tasks.examples import Example, draw_examples, read_examples
from workflow_scripts.training.terms import term_name


def read_phase(phase: PhaseSlice, path: Path) -> list[Example]:
    """The examples in a file that a phase may train on.

    Raises InputError as `read_examples` and `draw_examples` do.
    """
    examples, shown = read_examples(path), phase.demonstrations
    return examples if shown is None else draw_examples(examples, shown)


def ends_of(run: RunSlice) -> tuple[int, ...]:
    """The last optimizer step of each phase."""
    return tuple(accumulate(phase.steps for phase in run.phases))


def logged_terms(run: RunSlice) -> tuple[str, ...]:
    """Names of the terms of all phases, each once."""
    names = (term_name(term) for phase in run.phases for term in phase.terms)
    return tuple(dict.fromkeys(names))
