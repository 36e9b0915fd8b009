from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import pytest

from workflow_scripts.results.checkpoint_selection import at_chosen_steps, chosen_step, chosen_steps
from workflow_scripts.runtime.errors import InputError

ITEMS = 100


def result(
    condition: str,
    counts_by_step: Mapping[int, int],
    seed: int | None = None,
    shots: int | None = None,
    validation: Mapping[int, int] | None = None,
    draw: int | None = None,
) -> pd.DataFrame:
    """Predictions with this number of 100 items correct at each step; losses decrease with it."""
    parts = [
        pd.DataFrame(
            {
                "split": split,
                "step": step,
                "strict": [place < count for place in range(ITEMS)],
                "answer_loss": 2.0 - 0.01 * count,
                "selection": [place < count for place in range(ITEMS)],
                "selection_loss": 2.0 - 0.01 * count,
                "model": "m",
                "task": "t",
                "condition": condition,
                "seed": pd.array([seed] * ITEMS, dtype="Int64"),
                "draw": pd.array([draw] * ITEMS, dtype="Int64"),
                "shots": pd.array([shots] * ITEMS, dtype="Int64"),
            }
        )
        for split, counts in (
            ("validation", validation or counts_by_step),
            ("test", counts_by_step),
        )
        for step, count in counts.items()
    ]
    return pd.concat(parts, ignore_index=True)


def test_the_checkpoint_is_chosen_on_validation_and_not_on_test():
    run = result("sft", {0: 0, 10: 90, 20: 10}, seed=0, validation={0: 0, 10: 10, 20: 90})
    assert chosen_step(run) == 20


def test_equal_checkpoints_are_decided_by_the_selection_loss():
    run = result("sft", {0: 0, 10: 50, 20: 50}, seed=0)
    run.loc[run["step"] == 20, "selection_loss"] -= 0.1
    assert chosen_step(run) == 20


def test_equal_checkpoints_are_decided_by_the_earlier_step():
    assert chosen_step(result("sft", {0: 0, 10: 50, 20: 50}, seed=0)) == 10


def test_a_run_that_only_does_harm_is_not_excused_by_its_step_0():
    assert chosen_step(result("sft", {0: 90, 10: 20, 20: 10}, seed=0)) == 10


def test_each_seed_chooses_its_own_checkpoint():
    runs = pd.concat(
        [
            result("sft", {0: 0, 10: 60, 20: 50}, seed=0),
            result("sft", {0: 0, 10: 40, 20: 50}, seed=1),
        ]
    )
    assert chosen_steps(runs)["step"].tolist() == [10, 20]


def test_a_base_result_stands_as_it_is():
    chosen = at_chosen_steps(result("8-shot", {0: 70}, shots=8))
    assert (len(chosen), chosen["strict"].mean()) == (100, 0.7)


def test_a_run_without_validation_items_is_refused():
    run = result("sft", {0: 0, 10: 50}, seed=4)
    with pytest.raises(InputError, match="m t sft seed 4: no checkpoint with validation items"):
        chosen_steps(run[run["split"] == "test"])


def test_one_run_s_choice_needs_no_names():
    run = result("sft", {0: 90, 10: 20, 20: 30}, seed=0)
    assert chosen_step(run[["split", "step", "selection", "selection_loss"]]) == 20


def test_one_run_without_validated_checkpoints_is_refused():
    run = result("sft", {0: 90, 10: 20}, seed=0)
    with pytest.raises(InputError, match="no checkpoint with validation items"):
        chosen_step(run[(run["step"] == 0) | (run["split"] == "test")])


def test_the_checkpoint_is_chosen_by_what_scoring_wrote_and_not_by_accuracy():
    run = result("sft", {0: 0, 10: 90, 20: 10}, seed=0)
    assert chosen_step(run.assign(selection=run["step"], selection_loss=0.0)) == 20


def test_each_draw_has_its_own_checkpoint():
    runs = [
        result("sft", {0: 0, 10: 90 - draw, 20: 89 + draw}, seed=0, draw=draw) for draw in (0, 1)
    ]
    chosen = chosen_steps(pd.concat(runs))
    assert chosen[["draw", "step"]].values.tolist() == [[0, 10], [1, 20]]


def test_a_draw_without_validation_items_is_refused_by_name():
    run = result("sft", {0: 0, 10: 90}, seed=4, draw=2)
    with pytest.raises(InputError, match="m t sft seed 4 draw 2: no checkpoint with validation"):
        chosen_steps(run[run["split"] == "test"])


def test_predictions_of_an_earlier_version_are_refused_with_what_to_do():
    run = result("sft", {0: 0, 10: 90}, seed=0).drop(columns="selection_loss")
    with pytest.raises(InputError, match="no column selection_loss; rerun its evaluation"):
        chosen_step(run)


def test_seeds_of_a_foreign_result_stand_as_they_are():
    seeds = [result("theirs", {0: 70 + seed}, seed=seed) for seed in (0, 1)]
    foreign = pd.concat(seeds).query("split == 'test'")
    chosen = at_chosen_steps(pd.concat([foreign, result("sft", {0: 0, 10: 50}, seed=0)]))
    assert chosen.groupby(["condition", "step"]).size().to_dict() == {
        ("sft", 10): 100,
        ("theirs", 0): 200,
    }
