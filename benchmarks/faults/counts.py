"""How trials with faults ended."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Counts:
    """How many trials ended in which way.

    refused: in one line that names what is wrong.
    same: harmless, with the result of an undisturbed trial.
    faults: one line for each trial that ended in any other way (a traceback, another result, a
    process that hangs): what was done, and what came of it.
    """

    tried: int
    refused: int
    same: int
    faults: list[str]

    def __str__(self) -> str:
        ends = f"{self.refused:,} refused in one line, {self.same:,} with the same result"
        return f"{self.tried:,} tried: {ends}, {len(self.faults):,} faults"
