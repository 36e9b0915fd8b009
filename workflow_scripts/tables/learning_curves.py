"""Learning curves on the test items, beside the base model's results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workflow_scripts.results.index import (
    REPLICATE,
    by_item,
    cube_of,
    for_each_replicate,
    is_shot_count,
    together,
)
from workflow_scripts.results.names import is_transferred
from workflow_scripts.results.statistics import Floats
from workflow_scripts.runtime.errors import InputError

# columns before those of the steps
BASE_MODEL, REFERENCE, FIRST_STEP = 0, 1, 2


@dataclass(frozen=True)
class LearningCurve:
    """A condition's training with one seed and draw, or all of them, on the test items of its task.

    seeds, draws: of the condition; no draws where it is the same in each.
    reference: name of the base model's result with the most demonstrations.
    steps: (steps,), 0 first, which is the base model.
    strict, loss: (draws, seeds, items, 2 + steps): of the base model without demonstrations, of
    the reference, and of each step. What is the same in every seed or draw is repeated; a
    condition that is the same in every draw has those of the reference beside it.
    """

    model: str
    task: str
    condition: str
    seeds: tuple[int, ...]
    draws: tuple[int, ...]
    reference: str
    steps: NDArray[np.int64]
    strict: Floats
    loss: Floats

    @property
    def key(self) -> dict[str, str | None]:
        """Its key columns; the seed and draw are a number or, of several, `all`."""
        return {
            "model": self.model,
            "task": self.task,
            "condition": self.condition,
            "seed": together(self.seeds),
            "draw": together(self.draws),
        }

    @property
    def runs(self) -> list[tuple[str, str, str, int, int | None]]:
        """Key of each run: draws one after another."""
        names = self.model, self.task, self.condition
        return [(*names, seed, draw) for draw, seed in product(self.draws or (None,), self.seeds)]


def learning_curves(predictions: pd.DataFrame) -> Iterator[LearningCurve]:
    """One curve for each run, then for each condition one of all where there are several.

    Transferred results have none: their steps belong to a training on another task.

    predictions: as `read_predictions` returns them.
    Raises InputError when runs have no base result at 0 shots beside them, or item sets differ.
    """
    test = predictions[predictions["split"] == "test"]
    trained = test["seed"].notna() & ~test["condition"].map(is_transferred)
    for (model, task), runs in test[trained].groupby(["model", "task"], sort=False):
        of_pair = (test["model"] == model) & (test["task"] == task)
        base = test[of_pair & test["shots"].notna()]
        base = base[base["condition"].map(is_shot_count).astype(bool)]
        if 0 not in set(base["shots"]):
            raise InputError(f"{model} {task}: no base result at 0 shots in the index")
        for _, condition in runs.groupby("condition", sort=False):
            whole = _curve(base, condition)
            of_runs = list(_of_each_run(whole))
            yield from of_runs
            if len(of_runs) > 1:
                yield whole


def _curve(base: pd.DataFrame, runs: pd.DataFrame) -> LearningCurve:
    """base: of the model and task. runs: of one condition, in all its seeds and draws."""
    model, task, condition = runs[["model", "task", "condition"]].iloc[0]
    seeds, draws = (
        tuple(int(level) for level in sorted(runs[column].dropna().unique()))
        for column in REPLICATE
    )
    steps = sorted(runs["step"].unique())
    most = base["shots"].max()
    beside = base[base["shots"].isin([0, most])]
    members = for_each_replicate(pd.concat([beside, runs], ignore_index=True))
    reference = f"{most}-shot"
    columns = [("0-shot", 0), (reference, 0), *((condition, step) for step in steps)]
    strict, loss = (
        cube_of(by_item(members, value, ["condition", "step"])[columns])
        for value in ("strict", "answer_loss")
    )
    return LearningCurve(
        model, task, condition, seeds, draws, reference, np.array(steps), strict, loss
    )


def _of_each_run(curve: LearningCurve) -> Iterator[LearningCurve]:
    """Of each seed and draw; of each seed where the condition is the same in every draw."""
    of_draws = [
        replace(
            curve,
            draws=(draw,),
            strict=curve.strict[place : place + 1],
            loss=curve.loss[place : place + 1],
        )
        for place, draw in enumerate(curve.draws)
    ]
    for own in of_draws or [curve]:
        for place, seed in enumerate(curve.seeds):
            yield replace(
                own,
                seeds=(seed,),
                strict=own.strict[:, place : place + 1],
                loss=own.loss[:, place : place + 1],
            )
