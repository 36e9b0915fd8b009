"""Checkpoint selection: on the validation split, never on test."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from workflow_scripts.results.index import REPLICATE, RUN_KEYS, name_of
from workflow_scripts.runtime.errors import InputError

# more is better, then less
_CHOOSING = ("selection", "selection_loss")
_DIGITS = 12


def chosen_step(predictions: pd.DataFrame) -> int:
    """The checkpoint of one run with the highest mean `selection` on the validation split.

    Ties go to the lower mean `selection_loss`, then to the earlier step. Step 0 is no checkpoint:
    a run that only does harm is not excused by the base model. What `selection` is, scoring says:
    strict accuracy, agreement with a reference, or the step itself.

    predictions: of the run on its own task, with `split`, `step`, `selection`, `selection_loss`.
    Raises InputError when there is no checkpoint with validation items, or a column is missing.
    """
    missing = [name for name in _CHOOSING if name not in predictions]
    if missing:
        raise InputError(f"predictions: no column {missing[0]}; rerun its evaluation")
    ranked = _ranked(_validated(predictions), [])
    if ranked.empty:
        raise InputError("the run has no checkpoint with validation items to choose from")
    return int(ranked["step"].iloc[0])


def chosen_steps(predictions: pd.DataFrame) -> pd.DataFrame:
    """The `chosen_step` of each run; base and foreign results have no other than theirs, 0.

    Returns the columns model, task, condition, seed, draw, step.
    Raises InputError when a run has no checkpoint or no validation items.
    """
    last = predictions.groupby(RUN_KEYS, dropna=False)["step"].transform("max")
    base = predictions.loc[last == 0, [*RUN_KEYS, "step"]].drop_duplicates()
    runs = predictions[last > 0]
    validated = _validated(runs)
    _refuse_missing(runs, validated)
    best = _ranked(validated, RUN_KEYS).drop_duplicates(RUN_KEYS).sort_index()
    return pd.concat([base, best[[*RUN_KEYS, "step"]]], ignore_index=True)


def at_chosen_steps(predictions: pd.DataFrame) -> pd.DataFrame:
    """Test predictions of each base result and of the chosen checkpoint of each run."""
    test = predictions[predictions["split"] == "test"]
    return test.merge(chosen_steps(predictions), on=[*RUN_KEYS, "step"], how="inner")


def chosen_variant(predictions: pd.DataFrame, candidates: Sequence[str]) -> str:
    """The condition with the best `validation_scores`; ties go to the first of the candidates."""
    scores = validation_scores(predictions).loc[list(candidates)]
    best = scores.sort_values(list(_CHOOSING), ascending=[False, True], kind="stable")
    return str(best.index[0])


def validation_scores(runs: pd.DataFrame) -> pd.DataFrame:
    """`selection` and `selection_loss` on validation at the chosen steps, by condition.

    Means over seeds and draws, rounded so that sums in another order are a tie.

    runs: predictions of runs of one model on one task.
    Raises InputError as `chosen_steps`.
    """
    validated = _validated(runs)
    _refuse_missing(runs, validated)
    best = _ranked(validated, RUN_KEYS).drop_duplicates(RUN_KEYS)
    means = best.groupby("condition", sort=False)[list(_CHOOSING)].mean()
    return means.round(_DIGITS)


def written_steps(chosen: pd.DataFrame) -> str:
    """The chosen step, or where they differ those of each draw and seed in order: `20/40/20`."""
    order = list(reversed(REPLICATE))
    steps = chosen.drop_duplicates(order).sort_values(order)["step"].astype(str)
    return str(steps.iloc[0]) if steps.nunique() == 1 else "/".join(steps)


def _validated(runs: pd.DataFrame) -> pd.DataFrame:
    return runs[(runs["step"] > 0) & (runs["split"] == "validation")]


def _ranked(validated: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Checkpoints of one run, or of each of several that `keys` tell apart, the best first."""
    means = validated.groupby([*keys, "step"], sort=False, as_index=False, dropna=False)[
        list(_CHOOSING)
    ].mean()
    return means.sort_values([*_CHOOSING, "step"], ascending=[False, True, True], kind="stable")


def _refuse_missing(runs: pd.DataFrame, validated: pd.DataFrame) -> None:
    names = {name_of(*key) for key in runs[RUN_KEYS].drop_duplicates().to_numpy()}
    missing = names - {name_of(*key) for key in validated[RUN_KEYS].drop_duplicates().to_numpy()}
    if missing:
        raise InputError(
            f"{min(missing)}: no checkpoint with validation items to choose from; rerun its "
            "evaluation"
        )
