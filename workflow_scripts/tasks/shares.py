"""The splits of a task, and the share of each task in a mixture."""

from __future__ import annotations

import math
from collections.abc import Mapping

SPLITS = ("demonstrations", "train", "validation", "test")


def allot(count: int, weights: Mapping[str, float]) -> dict[str, int]:
    """`count` divided among the names by weight, rounded by the largest remainder.

    Among equal remainders the first name is rounded up.
    """
    whole = sum(weights.values())
    shares = {name: count * weight / whole for name, weight in weights.items()}
    allotted = {name: math.floor(share) for name, share in shares.items()}
    by_remainder = sorted(shares, key=lambda name: allotted[name] - shares[name])
    left = count - sum(allotted.values())
    return {name: n + (name in by_remainder[:left]) for name, n in allotted.items()}
