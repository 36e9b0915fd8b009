"""The simulated results that figures are drawn from."""

from tests.unit.figures.conftest import (
    in_draws,
    oddly_named,
    one_seed,
    swept,
    three_seeds,
    transferred,
    untrained,
)

__all__ = [
    "in_draws",
    "oddly_named",
    "one_seed",
    "swept",
    "three_seeds",
    "transferred",
    "untrained",
]
