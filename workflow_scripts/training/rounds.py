"""Which training items a student answers before each round on its own answers. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def round_items(items: Sequence[str], seed: int, round: int, count: int) -> list[int]:
    """Indices of the items that a round answers, in order.

    Rounds take consecutive windows of one seeded permutation, which begins again at its end. So
    no item comes twice in a round, nor again before all others have come.

    items: names of all items that may be answered. round: counted from 0.
    count: items of a round; of fewer items, each is answered once.
    """
    order = np.random.default_rng(seed).permutation(len(items))
    first = round * count
    return [int(order[(first + i) % len(items)]) for i in range(min(count, len(items)))]
