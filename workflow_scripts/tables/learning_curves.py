"""Learning curves on the test items, beside the base model's results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workflow_scripts.results.index import ALL_SEEDS, beside_each_seed, by_item
from workflow_scripts.results.names import is_transferred
from workflow_scripts.results.statistics import Floats
from workflow_scripts.runtime.errors import InputError

# columns before those of the steps
BASE_MODEL, REFERENCE, FIRST_STEP = 0, 1, 2


@dataclass(frozen=True)
class LearningCurve:
    """A condition's training with one seed or with all of them, on the test items of its task.

    reference: name of the base model's result with the most demonstrations.
    steps: (steps,), 0 first, which is the base model.
    strict, loss: (seeds, items, 2 + steps): of the base model without demonstrations, of the
    reference, and of each step. The first two are the same in every seed.
    """

    model: str
    task: str
    condition: str
    seeds: tuple[int, ...]
    reference: str
    steps: NDArray[np.int64]
    strict: Floats
    loss: Floats

    @property
    def key(self) -> dict[str, str]:
        """Its key columns; the seed is a number or, of several, `all`."""
        seed = str(self.seeds[0]) if len(self.seeds) == 1 else ALL_SEEDS
        return {
            "model": self.model,
            "task": self.task,
            "condition": self.condition,
            "seed": seed,
        }


def learning_curves(predictions: pd.DataFrame) -> Iterator[LearningCurve]:
    """One curve for each condition and seed, then one of all seeds where there are several.

    Transferred results have none: their steps belong to a training on another task.

    predictions: as `read_predictions` returns them.
    Raises InputError when runs have no base result at 0 shots beside them, or item sets differ.
    """
    test = predictions[predictions["split"] == "test"]
    trained = test["seed"].notna() & ~test["condition"].map(is_transferred)
    for (model, task), runs in test[trained].groupby(["model", "task"], sort=False):
        of_pair = (test["model"] == model) & (test["task"] == task)
        base = test[of_pair & test["shots"].notna()]
        if 0 not in set(base["shots"]):
            raise InputError(f"{model} {task}: no base result at 0 shots in the index")
        for _, condition in runs.groupby("condition", sort=False):
            whole = _curve(base, condition)
            yield from (_of_seed(whole, place) for place in range(len(whole.seeds)))
            if len(whole.seeds) > 1:
                yield whole


def _curve(base: pd.DataFrame, runs: pd.DataFrame) -> LearningCurve:
    """base: of the model and task. runs: of one condition, in all its seeds."""
    model, task, condition = runs[["model", "task", "condition"]].iloc[0]
    seeds, steps = (sorted(runs[name].unique()) for name in ("seed", "step"))
    most = base["shots"].max()
    beside = base[base["shots"].isin([0, most])]
    members = beside_each_seed(beside, runs)
    reference = f"{most}-shot"
    columns = [("0-shot", 0), (reference, 0), *((condition, step) for step in steps)]
    strict, loss = (
        by_item(members, value, ["condition", "step"])[columns]
        .to_numpy(dtype=float)
        .reshape(len(seeds), -1, len(columns))
        for value in ("strict", "answer_loss")
    )
    return LearningCurve(
        model, task, condition, tuple(map(int, seeds)), reference, np.array(steps), strict, loss
    )


def _of_seed(curve: LearningCurve, place: int) -> LearningCurve:
    return replace(
        curve,
        seeds=curve.seeds[place : place + 1],
        strict=curve.strict[place : place + 1],
        loss=curve.loss[place : place + 1],
    )
