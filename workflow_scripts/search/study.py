"""The search: proposes values, runs trials and picks the best.

The tree-structured Parzen estimator (Bergstra et al. 2011) proposes values from the seed and the
earlier trials, so an interrupted search tries the same values as an uninterrupted one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import yaml
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState, create_trial
from pydantic import ValidationError

from workflow_scripts.config.base import Strict
from workflow_scripts.config.conditions import ConditionSettings
from workflow_scripts.config.slices import RunSlice, SearchSlice
from workflow_scripts.config.sweeps import Scalar
from workflow_scripts.runtime.checksums import damage_of
from workflow_scripts.runtime.errors import Diverged, InputError
from workflow_scripts.runtime.files import read_json, remove_directory, write_json
from workflow_scripts.runtime.home import without_home
from workflow_scripts.training import recipes
from workflow_scripts.training.fields import with_fields

# inside a range, neither an end nor the middle: not an integer where the ends are
_WITHIN = 0.618


class Trial(Strict):
    """A run with some values of the searched fields.

    value: strict validation accuracy of its best checkpoint, that of `step`; None for a failed
    run. seconds: wall time since its last start.
    """

    number: int
    fields: dict[str, Scalar]
    value: float | None = None
    step: int | None = None
    failure: str | None = None
    seconds: float


def search(
    settings: SearchSlice, score: Callable[[RunSlice, Path], tuple[float, int]], state: Path
) -> list[Trial]:
    """All trials in order. Resumes after those in `state`, and prints a line for each new one.

    score: trains a run in its own folder, which may hold the state of a killed start; returns its
    value and step. A run that raises Diverged is a failed trial.
    Raises InputError when all trials failed.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    record = state / "trials.json"
    trials = _recorded(record)
    total = settings.search.trials
    if trials:
        print(f"resuming after {min(len(trials), total)} finished trials", flush=True)
    space = {field: _distribution(settings, field) for field in settings.search.fields}
    for number in range(len(trials), total):
        folder = state / f"trial-{number}"
        trials.append(_tried(settings, number, next_values(settings, space, trials), score, folder))
        write_json(record, [trial.model_dump(mode="json") for trial in trials])
        if folder.exists():
            remove_directory(folder)
        print(_line(trials[-1], total), flush=True)
    if all(trial.value is None for trial in trials[:total]):
        raise InputError(
            f"all {total} trials failed, the last one: {trials[total - 1].failure}; search smaller "
            "values"
        )
    return trials[:total]


def run_of(settings: SearchSlice, values: Mapping[str, Scalar]) -> RunSlice:
    """The run of the condition with these values of its fields.

    Raises ValidationError when the values contradict each other.
    """
    return recipes.run_of(
        _condition_with(settings, values),
        settings.training,
        prompt=settings.completion.prompt,
        labels=settings.completion.labels,
        phases=settings.phases,
        seed=settings.search.seed,
    )


def best_of(trials: Sequence[Trial]) -> Trial:
    """The trial with the highest value; the earliest of equals."""
    finished = [trial for trial in trials if trial.value is not None]
    return max(finished, key=lambda trial: trial.value or 0.0)


def trials_table(settings: SearchSlice, trials: Sequence[Trial]) -> pd.DataFrame:
    """One row per trial: number, state, value, step, one column per field, seconds."""
    table = pd.DataFrame(
        [
            {
                "number": trial.number,
                "state": "complete" if trial.failure is None else "failed",
                "value": trial.value,
                "step": trial.step,
                **{field: trial.fields[field] for field in settings.search.fields},
                "seconds": round(trial.seconds, 1),
            }
            for trial in trials
        ]
    )
    return table.astype({"value": "float64", "step": "Int64"})


def best_snippet(settings: SearchSlice, trials: Sequence[Trial]) -> str:
    """YAML of the condition's searched keys with the values of the best trial."""
    best = best_of(trials)
    keys = dict.fromkeys(_key_of(settings, field) for field in settings.search.fields)
    found = _condition_with(settings, best.fields).model_dump(mode="json", exclude_none=True)
    written = yaml.safe_dump({key: found[key] for key in keys}, sort_keys=False, allow_unicode=True)
    return (
        f"# of condition {settings.search.condition}: the best of {len(trials)} trials, number "
        f"{best.number}\n# validation accuracy {best.value:.4g} at step {best.step}\n{written}"
    )


def next_values(
    settings: SearchSlice, space: Mapping[str, BaseDistribution], trials: Sequence[Trial]
) -> dict[str, Scalar]:
    """The values to try after these trials; equal trials give equal values."""
    (seed,) = np.random.SeedSequence((settings.search.seed, len(trials))).generate_state(1)
    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=int(seed))
    )
    study.add_trials([_frozen(trial, space) for trial in trials])
    return dict(study.ask(dict(space)).params)


def _recorded(record: Path) -> list[Trial]:
    if not record.exists():
        return []
    if damage := damage_of(record):
        print(without_home(f"{record}: not resumed, {damage}; searching anew"), flush=True)
        return []
    return [Trial(**trial) for trial in read_json(record)]


def _tried(
    settings: SearchSlice,
    number: int,
    values: dict[str, Scalar],
    score: Callable[[RunSlice, Path], tuple[float, int]],
    folder: Path,
) -> Trial:
    start = time.monotonic()
    outcome: dict[str, Any]
    try:
        value, step = score(run_of(settings, values), folder)
        outcome = {"value": value, "step": step}
    except Diverged as error:
        outcome = {"failure": str(error)}
    except ValidationError as error:
        outcome = {"failure": error.errors()[0]["msg"]}
    return Trial(number=number, fields=values, seconds=time.monotonic() - start, **outcome)


def _distribution(settings: SearchSlice, field: str) -> BaseDistribution:
    searched = settings.search.fields[field]
    if searched.choices is not None:
        return CategoricalDistribution(searched.choices)
    assert searched.low is not None
    assert searched.high is not None
    low, high = searched.low, searched.high
    try:
        _condition_with(settings, {field: low + _WITHIN * (high - low)})
    except ValidationError:  # both ends are valid, so the field takes only integers
        return IntDistribution(int(low), int(high), log=searched.log)
    return FloatDistribution(low, high, log=searched.log)


def _condition_with(settings: SearchSlice, values: Mapping[str, Scalar]) -> ConditionSettings:
    return with_fields(settings.condition, values, settings.training.adapter)


def _key_of(settings: SearchSlice, field: str) -> str:
    key = field.partition(".")[0]
    if key in ConditionSettings.model_fields:
        return key
    return "phases" if settings.condition.phases else "terms"


def _frozen(trial: Trial, space: Mapping[str, BaseDistribution]) -> FrozenTrial:
    state = TrialState.COMPLETE if trial.failure is None else TrialState.FAIL
    return create_trial(
        state=state, value=trial.value, params=trial.fields, distributions=dict(space)
    )


def _line(trial: Trial, total: int) -> str:
    values = ", ".join(f"{field} {_shown(value)}" for field, value in trial.fields.items())
    outcome = (
        f"accuracy {trial.value:.4g} at step {trial.step}"
        if trial.failure is None
        else f"failed: {trial.failure}"
    )
    return f"trial {trial.number + 1} of {total} ({values}): {outcome}, {trial.seconds:.0f} s"


def _shown(value: Scalar) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
