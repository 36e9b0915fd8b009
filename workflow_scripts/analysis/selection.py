"""Which checkpoint of a run stands for it: chosen on validation, never on test."""

from __future__ import annotations

import pandas as pd

from workflow_scripts.errors import InputError
from workflow_scripts.results import RUN_KEYS


def chosen_steps(predictions: pd.DataFrame) -> pd.DataFrame:
    """The checkpoint of each run with the best strict accuracy on the validation split.

    Ties go to the lower mean answer loss, then to the earlier step. Step 0 is no checkpoint:
    a run that only does harm is not excused by the untouched model. Base results have no other
    step.

    Returns the columns model, task, condition, seed, step.
    Raises InputError when a run has no checkpoint or no validation items.
    """
    base = predictions.loc[predictions["seed"].isna(), [*RUN_KEYS, "step"]].drop_duplicates()
    runs = predictions[predictions["seed"].notna()]
    validated = runs[(runs["step"] > 0) & (runs["split"] == "validation")]
    _refuse_missing(runs, validated)
    means = validated.groupby([*RUN_KEYS, "step"], sort=False, as_index=False)[
        ["strict", "answer_loss"]
    ].mean()
    ranked = means.sort_values(
        ["strict", "answer_loss", "step"], ascending=[False, True, True], kind="stable"
    )
    best = ranked.drop_duplicates(RUN_KEYS).sort_index()
    return pd.concat([base, best[[*RUN_KEYS, "step"]]], ignore_index=True)


def at_chosen_steps(predictions: pd.DataFrame) -> pd.DataFrame:
    """Test predictions of each base result and of the chosen checkpoint of each run."""
    test = predictions[predictions["split"] == "test"]
    return test.merge(chosen_steps(predictions), on=[*RUN_KEYS, "step"], how="inner")


def _refuse_missing(runs: pd.DataFrame, validated: pd.DataFrame) -> None:
    missing = set(runs[RUN_KEYS].itertuples(index=False, name=None)) - set(
        validated[RUN_KEYS].itertuples(index=False, name=None)
    )
    if missing:
        model, task, condition, seed = min(missing)
        raise InputError(
            f"{model} {task} {condition} seed {seed}: no checkpoint with validation items to "
            "choose from; rerun its evaluation"
        )
