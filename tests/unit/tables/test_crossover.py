from __future__ import annotations

import pandas as pd
import pytest

from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.tables.crossover import COLUMNS, crossover

SETTINGS = AnalysisSettings(bootstrap_samples=400)
LOSS = ["loss_step", "loss_step_low", "loss_step_high"]
ACCURACY = ["accuracy_step", "accuracy_step_low", "accuracy_step_high"]


def crossed(*results: pd.DataFrame) -> pd.Series:
    table = crossover(pd.concat(results), SETTINGS)
    assert len(table) == 1
    return table.iloc[0]


@pytest.fixture
def zero_shot(result) -> pd.DataFrame:
    return result("0-shot", {0: 0}, shots=0)


@pytest.fixture
def base(result, zero_shot) -> pd.DataFrame:
    return pd.concat([zero_shot, result("8-shot", {0: 60}, shots=8)])


def test_the_reference_is_the_base_result_at_the_most_shots(result, base):
    between = result("2-shot", {0: 70}, shots=2)
    row = crossed(base, between, result("sft", {0: 0, 10: 20}, seed=0))
    assert row[["reference", "reference_accuracy"]].tolist() == ["8-shot", 0.6]


def test_accuracy_crosses_where_it_is_equal_and_loss_where_it_is_below(result, base):
    """Equal accuracies have equal losses here."""
    row = crossed(base, result("sft", {0: 0, 10: 60, 20: 61, 40: 70}, seed=0))
    assert row[["accuracy_step", "loss_step", "last_step"]].tolist() == [10, 20, 40]


def test_a_run_that_never_crosses_has_no_step(result, base):
    row = crossed(base, result("sft", {0: 0, 10: 20}, seed=0))
    assert row[LOSS + ACCURACY].isna().all()
    assert row["last_step"] == 10
    assert pd.isna(row["note"])


def test_the_first_crossing_counts_even_if_the_run_falls_back(result, base):
    row = crossed(base, result("sft", {0: 0, 10: 70, 20: 10}, seed=0))
    assert row["accuracy_step"] == 10


def test_conditions_may_have_trained_for_different_numbers_of_steps(result, base):
    short = result("sft~train_items=2", {0: 0, 3: 70}, seed=0)
    table = crossover(pd.concat([base, result("sft", {0: 0, 10: 20}, seed=0), short]), SETTINGS)
    assert table["last_step"].tolist() == [10, 3]
    assert table["accuracy_step"].tolist() == [pd.NA, 3]


def test_validation_items_do_not_count(result, base):
    run = result("sft", {0: 0, 10: 10}, seed=0, validation={0: 0, 10: 90})
    assert pd.isna(crossed(base, run)["accuracy_step"])


def test_a_run_on_another_task_has_no_row(result, base):
    run = result("sft", {0: 0, 10: 70}, seed=0)
    assert crossed(base, run, result("sft@gsm8k", {0: 0, 20: 90}, seed=0))["condition"] == "sft"


# --- intervals ----------------------------------------------------------------------------


def test_run_and_reference_are_resampled_together(result, base):
    """Right on the very items of the reference, the run crosses in every draw."""
    row = crossed(base, result("sft", {0: 0, 10: 60, 20: 60}, seed=0))
    assert row[ACCURACY].tolist() == [10, 10, 10]


def test_a_crossing_on_other_items_may_be_later_or_never(result, base):
    row = crossed(base, result("sft", {0: 0, 10: 20, 20: 60}, seed=0, first=30))
    assert row[ACCURACY].tolist()[:2] == [20, 20]
    assert pd.isna(row["accuracy_step_high"])


def test_a_near_crossing_has_a_lower_end_and_no_step(result, base):
    row = crossed(base, result("sft", {0: 0, 10: 59}, seed=0, first=30))
    assert pd.isna(row["accuracy_step"])
    assert row["accuracy_step_low"] == 10


def test_where_the_gap_may_be_nothing_the_interval_begins_at_the_base_model(result, zero_shot):
    small = result("8-shot", {0: 1}, shots=8)
    row = crossed(zero_shot, small, result("sft", {0: 0, 10: 90}, seed=0))
    assert row[ACCURACY].tolist() == [10, 0, 10]


# --- no gap -------------------------------------------------------------------------------


def test_a_reference_no_better_than_the_base_model_leaves_no_gap_to_cross(result, zero_shot):
    useless = result("8-shot", {0: 0}, shots=8)
    row = crossed(zero_shot, useless, result("sft", {0: 0, 10: 60}, seed=0))
    assert row[LOSS + ACCURACY].isna().all()
    assert row["note"] == "no gap to cross"


def test_without_demonstrations_there_is_no_gap_to_cross(result, zero_shot):
    row = crossed(zero_shot, result("sft", {0: 0, 10: 60}, seed=0))
    assert row[["reference", "note"]].tolist() == ["0-shot", "no gap to cross"]


def test_a_gap_in_the_loss_alone_is_crossed_alone(result, zero_shot):
    never_right = result("8-shot", {0: 60}, shots=8).assign(strict=False)
    row = crossed(zero_shot, never_right, result("sft", {0: 0, 10: 70}, seed=0))
    assert row["loss_step"] == 10
    assert pd.isna(row["accuracy_step"])
    assert row["note"] == "accuracy: no gap to cross"


# --- seeds, and none ----------------------------------------------------------------------


def test_over_seeds_the_mean_curve_crosses(result, base):
    runs = [
        result("sft", {0: 0, 10: 70, 20: 70}, seed=0),
        result("sft", {0: 0, 10: 20, 20: 70}, seed=1),
    ]
    table = crossover(pd.concat([base, *runs]), SETTINGS)
    assert table["seed"].tolist() == ["0", "1", "all"]
    assert table["accuracy_step"].tolist() == [10, 20, 20]


@pytest.mark.parametrize("transferred", [[], ["sft@gsm8k"]])
def test_without_runs_there_are_columns_and_no_rows(result, base, transferred):
    other = [result(name, {0: 0, 20: 90}, seed=0) for name in transferred]
    table = crossover(pd.concat([base, *other]), SETTINGS)
    assert table.empty
    assert list(table.columns) == COLUMNS


def test_runs_without_a_base_result_are_refused(result):
    with pytest.raises(InputError, match="m t: no base result at 0 shots"):
        crossover(result("sft", {0: 0}, seed=0), SETTINGS)


def test_other_items_than_the_reference_are_refused_by_name(result, base):
    run = result("sft", {0: 0, 10: 70}, seed=0)
    lacking = run[run["item"] != "test-7"]
    with pytest.raises(InputError, match="item test-7 has no result in sft 0, seed 0"):
        crossover(pd.concat([base, lacking]), SETTINGS)


def test_a_run_crosses_the_reference_of_its_own_draw(result):
    base = [result("0-shot", {0: 0}, shots=0)]
    base += [result("8-shot", {0: 30 + 40 * draw}, shots=8, draw=draw) for draw in (0, 1)]
    runs = [result("sft", {0: 0, 10: 50, 20: 90}, seed=0, draw=draw) for draw in (0, 1)]
    table = crossover(pd.concat([*base, *runs]), SETTINGS)
    assert table["draw"].tolist() == ["0", "1", "all"]
    assert table["accuracy_step"].tolist() == [10, 20, 10]


def test_a_run_that_no_draw_reaches_is_compared_with_the_mean_over_draws(result):
    base = [result("0-shot", {0: 0}, shots=0)]
    base += [result("8-shot", {0: 30 + 40 * draw}, shots=8, draw=draw) for draw in (0, 1)]
    run = result("sft", {0: 0, 10: 45, 20: 55}, seed=0)
    (row,) = crossover(pd.concat([*base, run]), SETTINGS).to_dict("records")
    assert pd.isna(row["draw"])
    assert (row["seed"], row["reference_accuracy"]) == ("0", pytest.approx(0.5))
    assert row["accuracy_step"] == 20


def test_a_teacher_of_as_many_shots_is_not_the_reference(result, base):
    teacher = result("instructed", {0: 99}, shots=8)
    run = result("sft", {0: 0, 10: 70}, seed=0)
    (row,) = crossover(pd.concat([base, teacher, run]), SETTINGS).to_dict("records")
    assert row["reference"] == "8-shot"
    assert row["reference_accuracy"] < 0.9
