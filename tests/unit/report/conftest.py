"""The simulated results that figures are drawn from."""

from tests.unit.figures.conftest import (
    oddly_named,
    one_seed,
    swept,
    three_seeds,
    transferred,
    untrained,
)

__all__ = ["oddly_named", "one_seed", "swept", "three_seeds", "transferred", "untrained"]
