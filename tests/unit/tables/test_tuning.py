"""A variant of each condition, chosen on validation and compared on test."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.outputs import save
from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.config.slices import TunedSlice
from workflow_scripts.results.index import ResultIndex, read_table
from workflow_scripts.tables import tuning as module
from workflow_scripts.tables.tuning import COLUMNS, compare_chosen, tuning

SETTINGS = AnalysisSettings(bootstrap_samples=200)
FAST, SLOW = "sft~learning_rate=0.01", "kl~learning_rate=0.001"
TUNED = [TunedSlice(field="learning_rate", arms={"sft": ("sft", FAST), "kl": ("kl", SLOW)})]


@pytest.fixture
def runs(result) -> pd.DataFrame:
    """`sft` is best as it is on validation, though not on test; `kl` with the lower rate."""
    return pd.concat(
        [
            result(name, test, seed=seed, validation=validation)
            for seed in range(3)
            for name, test, validation in (
                ("sft", {0: 10, 10: 50, 20: 55}, {0: 10, 10: 60, 20: 50}),
                (FAST, {0: 10, 10: 90, 20: 90}, {0: 10, 10: 40, 20: 55}),
                ("kl", {0: 10, 10: 30, 20: 30}, {0: 10, 10: 30, 20: 30}),
                (SLOW, {0: 10, 10: 70, 20: 70}, {0: 10, 10: 65, 20: 70}),
            )
        ],
        ignore_index=True,
    )


def test_the_variant_with_the_best_checkpoints_on_validation_is_chosen(runs):
    table = tuning(runs, TUNED)
    assert table.columns.tolist() == COLUMNS
    assert table.set_index("condition")["validation"].to_dict() == {
        "sft": 0.6,
        FAST: 0.55,
        "kl": 0.3,
        SLOW: 0.7,
    }
    assert table.loc[table["chosen"], "condition"].tolist() == ["sft", SLOW]
    assert table["trials"].tolist() == [2, 2, 2, 2]


def test_the_test_split_takes_no_part_in_the_choice(runs):
    changed = runs.assign(strict=runs["strict"].where(runs["split"] == "validation", False))
    pd.testing.assert_frame_equal(tuning(changed, TUNED), tuning(runs, TUNED))


def test_seeds_choose_together(result):
    """Two of three seeds prefer the second, but the first is better in the mean."""
    on_validation = {"sft": (90, 50, 50), FAST: (51, 51, 51)}
    runs = [
        result(name, {0: 10, 10: 50}, seed=seed, validation={0: 10, 10: count})
        for name, counts in on_validation.items()
        for seed, count in enumerate(counts)
    ]
    arm = [TunedSlice(field="learning_rate", arms={"sft": ("sft", FAST)})]
    table = tuning(pd.concat(runs), arm)
    assert table.loc[table["chosen"], "condition"].tolist() == ["sft"]


@pytest.mark.parametrize(("loss", "chosen"), [(0.5, FAST), (1.0, "sft"), (1.5, "sft")])
def test_a_tie_goes_to_the_lower_loss_and_then_to_the_condition_itself(result, loss, chosen):
    """Means of other seeds in another order are a tie too."""
    runs = [
        result(name, {0: 10, 10: 50}, seed=seed, validation={0: 10, 10: count}).assign(
            selection_loss=1.0 if name == "sft" else loss
        )
        for name, counts in (("sft", (10, 20, 30)), (FAST, (30, 10, 20)))
        for seed, count in enumerate(counts)
    ]
    arm = [TunedSlice(field="learning_rate", arms={"sft": ("sft", FAST)})]
    table = tuning(pd.concat(runs), arm)
    assert table.loc[table["chosen"], "condition"].tolist() == [chosen]


def test_chosen_variants_are_compared_on_test_at_their_chosen_checkpoints(runs):
    table = compare_chosen(runs, tuning(runs, TUNED), SETTINGS)
    assert set(table["group"]) == {"learning_rate"}
    over_seeds = table[table["seed"] == "all"].iloc[0]
    assert (over_seeds["first"], over_seeds["second"]) == (SLOW, "sft")
    # step 10 of sft, whose test items are better at step 20
    assert over_seeds["second_step"] == "10"
    assert over_seeds["difference"] == pytest.approx(0.2)
    assert over_seeds["verdict"] == "better"


def test_both_tables_are_read_again(runs, tmp_path):
    entries = []
    for (name, seed), own in runs.groupby(["condition", "seed"]):
        rows = own.drop(columns=["model", "task", "condition", "seed", "draw", "shots"])
        path = save(rows.reset_index(drop=True), tmp_path / f"{name}-{seed}.parquet")
        keys = {"model": "m", "task": "t", "condition": name, "seed": seed, "shots": None}
        entries.append(keys | {"predictions": path})
    table, comparisons = tmp_path / "tuning.csv", tmp_path / "tuning_comparisons.csv"
    module.main(SETTINGS, TUNED, ResultIndex.model_validate(entries), table, comparisons)
    assert read_table(table)["chosen"].tolist() == [True, False, False, True]
    assert len(read_table(comparisons)) == 4
