from __future__ import annotations

import pandas as pd
import pytest

from workflow_scripts.analysis.selection import at_chosen_steps, chosen_steps
from workflow_scripts.errors import InputError


def chosen_step(predictions: pd.DataFrame) -> int:
    return int(chosen_steps(predictions)["step"].item())


def test_the_checkpoint_is_chosen_on_validation_and_not_on_test(result):
    run = result("sft", {0: 0, 10: 90, 20: 10}, seed=0, validation={0: 0, 10: 10, 20: 90})
    assert chosen_step(run) == 20


def test_equal_accuracies_are_decided_by_the_answer_loss(result):
    run = result("sft", {0: 0, 10: 50, 20: 50}, seed=0)
    run.loc[run["step"] == 20, "answer_loss"] -= 0.1
    assert chosen_step(run) == 20


def test_equal_checkpoints_are_decided_by_the_earlier_step(result):
    assert chosen_step(result("sft", {0: 0, 10: 50, 20: 50}, seed=0)) == 10


def test_a_run_that_only_does_harm_is_not_excused_by_its_step_0(result):
    assert chosen_step(result("sft", {0: 90, 10: 20, 20: 10}, seed=0)) == 10


def test_each_seed_chooses_its_own_checkpoint(result):
    runs = pd.concat(
        [
            result("sft", {0: 0, 10: 60, 20: 50}, seed=0),
            result("sft", {0: 0, 10: 40, 20: 50}, seed=1),
        ]
    )
    assert chosen_steps(runs)["step"].tolist() == [10, 20]


def test_a_base_result_stands_as_it_is(result):
    chosen = at_chosen_steps(result("8-shot", {0: 70}, shots=8))
    assert (len(chosen), chosen["strict"].mean()) == (100, 0.7)


def test_a_run_without_validation_items_is_refused(result):
    run = result("sft", {0: 0, 10: 50}, seed=4)
    with pytest.raises(InputError, match="m t sft seed 4: no checkpoint with validation items"):
        chosen_steps(run[run["split"] == "test"])
