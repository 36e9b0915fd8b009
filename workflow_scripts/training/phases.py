"""The phases of a run: their examples, where they end, and the columns of its log."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Self

from workflow_scripts.config.slices import PhaseSlice, RunSlice
from workflow_scripts.runtime.checksums import checked
from workflow_scripts.runtime.files import read_json
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


@dataclass(frozen=True)
class Part:
    """The phases of a run that one job trains.

    phases: their numbers. last: their last step.
    checkpoints: steps whose weights are kept by then.
    earlier: manifest of the checkpoints of the job before.
    """

    phases: tuple[int, ...]
    last: int
    checkpoints: tuple[int, ...]
    earlier: Path | None = None

    @classmethod
    def whole(cls, run: RunSlice) -> Self:
        return cls(tuple(range(len(run.phases))), run.training.steps, run.training.checkpoints)

    @classmethod
    def of_phase(cls, run: RunSlice, number: int, earlier: Path | None) -> Self:
        """One phase. Unless it is the last, its last weights are kept too: they answer next.

        Checkpoints of earlier phases are those that these still have.
        """
        ends = ends_of(run)
        first, last = ends[number] - run.phases[number].steps, ends[number]
        before = [] if earlier is None else read_json(checked(earlier))["steps"]
        kept = [
            step
            for step in run.training.checkpoints
            if first < step <= last or (step <= first and step in before)
        ]
        if number < len(run.phases) - 1:
            kept.append(last)
        return cls((number,), last, tuple(dict.fromkeys(kept)), earlier)


def logged_terms(run: RunSlice) -> tuple[str, ...]:
    """Names of the terms of all phases, each once."""
    names = (term_name(term) for phase in run.phases for term in phase.terms)
    return tuple(dict.fromkeys(names))
