"""Predictions with a planted number of correct items."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import pytest

ITEMS = 100
Results = Callable[..., pd.DataFrame]


@pytest.fixture
def result() -> Results:
    """Makes the predictions of one base result (`shots`) or run (`seed`).

    correct: how many of the 100 items of a split are correct at each step; the losses decrease
    with it. `first` is the item from which the correct ones are counted.
    Checkpoints are chosen by the correct items of validation.
    """

    def make(
        condition: str,
        correct: Mapping[int, int],
        seed: int | None = None,
        shots: int | None = None,
        validation: Mapping[int, int] | None = None,
        first: int = 0,
        draw: int | None = None,
    ) -> pd.DataFrame:
        return pd.concat(
            [
                _rows(split, step, count, first).assign(
                    model="m",
                    task="t",
                    condition=condition,
                    seed=pd.array([seed] * ITEMS, dtype="Int64"),
                    draw=pd.array([draw] * ITEMS, dtype="Int64"),
                    shots=pd.array([shots] * ITEMS, dtype="Int64"),
                )
                for split, counts in (("validation", validation or correct), ("test", correct))
                for step, count in counts.items()
            ],
            ignore_index=True,
        )

    return make


def _rows(split: str, step: int, count: int, first: int) -> pd.DataFrame:
    places = (np.arange(ITEMS) - first) % ITEMS
    correct = places < count
    return pd.DataFrame(
        {
            "split": split,
            "item": [f"{split}-{i}" for i in range(ITEMS)],
            "step": step,
            "answer_loss": 2.0 - 0.01 * count + 0.1 * (places % 3),
            "prediction": "word",
            "strict": correct,
            "flexible": True,
            "selection": correct,
            "selection_loss": 2.0 - 0.01 * count,
        }
    )
