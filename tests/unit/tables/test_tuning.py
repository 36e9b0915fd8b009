"""A variant of each condition, chosen on validation."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.outputs import save
from workflow_scripts.results.index import ResultIndex, read_table
from workflow_scripts.tables import tuning as module
from workflow_scripts.tables.tuning import COLUMNS, tuning

FAST, SLOW = "sft~learning_rate=0.01", "kl~learning_rate=0.001"
TUNED = {
    "sft": {"sft": "learning_rate=0.005", FAST: "learning_rate=0.01"},
    "kl": {"kl": "learning_rate=0.005", SLOW: "learning_rate=0.001"},
}
ARM = {"sft": TUNED["sft"]}


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
    validation = runs["split"] == "validation"
    measured = ["strict", "flexible", "answer_loss", "selection", "selection_loss"]
    other = {name: runs[name].where(validation, 1 - runs[name]) for name in measured}
    changed = runs.assign(**other)
    pd.testing.assert_frame_equal(tuning(changed, TUNED), tuning(runs, TUNED))


def test_seeds_choose_together(result):
    """Two of three seeds prefer the second, but the first is better in the mean."""
    on_validation = {"sft": (90, 50, 50), FAST: (51, 51, 51)}
    runs = [
        result(name, {0: 10, 10: 50}, seed=seed, validation={0: 10, 10: count})
        for name, counts in on_validation.items()
        for seed, count in enumerate(counts)
    ]
    table = tuning(pd.concat(runs), ARM)
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
    table = tuning(pd.concat(runs), ARM)
    assert table.loc[table["chosen"], "condition"].tolist() == [chosen]


def test_the_table_is_read_again(runs, tmp_path):
    entries = []
    for (name, seed), own in runs.groupby(["condition", "seed"]):
        rows = own.drop(columns=["model", "task", "condition", "seed", "draw", "shots"])
        path = save(rows.reset_index(drop=True), tmp_path / f"{name}-{seed}.parquet")
        keys = {"model": "m", "task": "t", "condition": name, "seed": seed, "shots": None}
        entries.append(keys | {"predictions": path})
    table = tmp_path / "tuning.csv"
    module.main(TUNED, ResultIndex.model_validate(entries), table)
    read = read_table(table)
    assert read["chosen"].tolist() == [True, False, False, True]
    assert read["setting"].tolist()[-1] == "learning_rate=0.001"
