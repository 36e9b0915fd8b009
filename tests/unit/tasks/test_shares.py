from __future__ import annotations

import pytest

from workflow_scripts.tasks.shares import allot


@pytest.mark.parametrize(
    ("count", "weights", "allotted"),
    [
        (8, {"a": 1, "b": 3}, [2, 6]),
        (10, {"a": 1, "b": 1, "c": 1}, [4, 3, 3]),
        # Hamilton's method: shares 1.5, 3.3 and 0.2 of 5
        (5, {"a": 15, "b": 33, "c": 2}, [2, 3, 0]),
        (3, {"a": 0.1, "b": 0.2}, [1, 2]),
        (0, {"a": 1, "b": 1}, [0, 0]),
        (1, {"a": 1, "b": 1}, [1, 0]),
    ],
)
def test_a_share_is_rounded_by_the_largest_remainder(
    count: int, weights: dict[str, float], allotted: list[int]
) -> None:
    assert list(allot(count, weights).values()) == allotted
