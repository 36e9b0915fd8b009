"""Which values are tried, what a killed search tries again, and what is written about the best."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.unit.search.conftest import CONDITION, search_slice
from workflow_scripts.config.conditions import ConditionSettings
from workflow_scripts.config.slices import RunSlice, SearchSlice
from workflow_scripts.runtime.errors import Diverged, InputError
from workflow_scripts.search.study import Trial, best_snippet, run_of, search, trials_table

Score = Callable[[RunSlice, Path], tuple[float, int]]
RATE = {"learning_rate": {"low": 1e-5, "high": 1e-1, "log": True}}
WEIGHT = {"weight": {"low": 0, "high": 10}}


def near_three(run: RunSlice, folder: Path) -> tuple[float, int]:
    """Best where the term's weight is 3."""
    return 1 - abs(run.phases[0].terms[1].weight - 3) / 10, 2


def killed_at(call: int) -> Score:
    calls = iter(range(100))

    def score(run: RunSlice, folder: Path) -> tuple[float, int]:
        if next(calls) == call:
            raise KeyboardInterrupt
        return near_three(run, folder)

    return score


def above(limit: float) -> Score:
    def score(run: RunSlice, folder: Path) -> tuple[float, int]:
        if run.training.learning_rate > limit:
            raise Diverged("step 1: loss is nan")
        return 0.5, 1

    return score


def outcomes(trials: list[Trial]) -> list[dict[str, object]]:
    return [trial.model_dump(exclude={"seconds"}) for trial in trials]


@pytest.fixture
def slice_of_weights() -> SearchSlice:
    return search_slice(WEIGHT, trials=25)


def test_later_trials_are_nearer_to_the_best_than_first_ones(slice_of_weights, tmp_path):
    values = [trial.value for trial in search(slice_of_weights, near_three, tmp_path)]
    assert sum(values[-10:]) / 10 > sum(values[:10]) / 10 + 0.1


def test_a_killed_search_ends_as_an_uninterrupted_one(slice_of_weights, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        search(slice_of_weights, killed_at(13), tmp_path / "killed")
    continued = search(slice_of_weights, near_three, tmp_path / "killed")
    whole = search(slice_of_weights, near_three, tmp_path / "whole")
    assert outcomes(continued) == outcomes(whole)


def test_finished_trials_are_not_tried_again(slice_of_weights, tmp_path):
    search(slice_of_weights, near_three, tmp_path)
    search(slice_of_weights, killed_at(0), tmp_path)


def test_a_search_can_be_given_more_trials(tmp_path):
    search(search_slice(WEIGHT, trials=5), near_three, tmp_path / "few")
    more = search(search_slice(WEIGHT, trials=8), near_three, tmp_path / "few")
    assert outcomes(more) == outcomes(
        search(search_slice(WEIGHT, trials=8), near_three, tmp_path / "many")
    )


def test_another_seed_tries_other_values(tmp_path):
    first, second = (
        search(search_slice(WEIGHT, trials=2, seed=seed), near_three, tmp_path / str(seed))
        for seed in (0, 1)
    )
    assert not {t.fields["weight"] for t in first} & {t.fields["weight"] for t in second}


def test_a_field_of_whole_numbers_is_given_whole_numbers(tmp_path):
    fields = {"adapter.rank": {"low": 1, "high": 3}}
    seen = []

    def score(run: RunSlice, folder: Path) -> tuple[float, int]:
        seen.append(run.adapter.rank)
        return 0.0, 1

    search(search_slice(fields, trials=12), score, tmp_path)
    assert set(seen) == {1, 2, 3}


def test_whole_ends_of_a_field_of_numbers_leave_what_lies_between(tmp_path):
    trials = search(search_slice({"alpha": {"low": 0, "high": 1}}), lambda *_: (0.0, 1), tmp_path)
    assert all(0 < trial.fields["alpha"] < 1 for trial in trials)


def test_values_reach_every_part_of_the_run():
    values = {"learning_rate": 0.5, "adapter.rank": 2, "alpha": 0.25, "train_items": 3}
    run = run_of(search_slice(), values)
    assert run.training.learning_rate == 0.5
    assert run.adapter.rank == 2
    assert [term.weight for term in run.phases[0].terms] == [0.75, 0.125]
    assert run.phases[0].train_items == 3


def test_a_run_that_diverges_is_a_failed_trial_and_the_search_goes_on(tmp_path, capsys):
    settings = search_slice(RATE, trials=8)
    table = trials_table(settings, search(settings, above(1e-3), tmp_path))
    failed = table["learning_rate"] > 1e-3
    assert 0 < failed.sum() < 8
    assert (table["state"] == "failed").equals(failed)
    assert table["value"].isna().equals(failed)
    assert "failed: step 1: loss is nan" in capsys.readouterr().out


def test_values_that_do_not_fit_each_other_are_a_failed_trial(tmp_path):
    fields = {"weight": {"choices": [0.0]}, "cross_entropy.weight": {"choices": [0.0, 1.0]}}
    trials = search(search_slice(fields, trials=6), lambda *_: (1.0, 1), tmp_path)
    for trial in trials:
        assert (trial.failure is None) == (trial.fields["cross_entropy.weight"] == 1)


def test_all_trials_failed(tmp_path):
    with pytest.raises(InputError, match="all 3 trials failed, the last one: step 1: loss is nan"):
        search(search_slice(RATE), above(0), tmp_path)


def test_any_other_error_ends_the_search_and_its_trial_is_not_recorded(tmp_path):
    def full(run: RunSlice, folder: Path) -> tuple[float, int]:
        raise InputError("the disk is full")

    with pytest.raises(InputError, match="the disk is full"):
        search(search_slice(), full, tmp_path)
    assert len(search(search_slice(), near_three, tmp_path)) == 3


def test_each_trial_is_a_line(tmp_path, capsys):
    search(search_slice(WEIGHT), near_three, tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(" (")[0] for line in lines] == [f"trial {n} of 3" for n in (1, 2, 3)]


def test_what_is_pasted_into_the_condition_makes_the_best_run(tmp_path):
    settings = search_slice(
        {
            "learning_rate": {"low": 1e-6, "high": 1e-4, "log": True},
            "adapter.rank": {"choices": [2, 4]},
            "weight": {"low": 0, "high": 10},
        },
        trials=6,
    )
    trials = search(settings, near_three, tmp_path)
    best = max(trials, key=lambda trial: trial.value)
    pasted = CONDITION.model_dump() | yaml.safe_load(best_snippet(settings, trials))
    changed = settings.model_copy(update={"condition": ConditionSettings.model_validate(pasted)})
    assert run_of(changed, {}) == run_of(settings, best.fields)


def test_of_equal_trials_the_first_is_best(tmp_path):
    settings = search_slice(WEIGHT)
    trials = search(settings, lambda *_: (0.5, 1), tmp_path)
    assert "number 0\n" in best_snippet(settings, trials)
