"""What training on one task made a model forget of another."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.outputs import save
from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.config.slices import ComparisonSlice
from workflow_scripts.results.index import ResultIndex, read_predictions, read_table
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.tables import retention as module
from workflow_scripts.tables.comparisons import compare
from workflow_scripts.tables.retention import COLUMNS, retention

SETTINGS = AnalysisSettings(bootstrap_samples=200)


def on(predictions: pd.DataFrame, task: str) -> pd.DataFrame:
    return predictions.assign(task=task)


@pytest.fixture
def answered(result) -> pd.DataFrame:
    """`sft` gains on its task and forgets the other; `kl` gains as much and forgets nothing."""
    return pd.concat(
        [
            on(result("0-shot", {0: 20}, shots=0), "t"),
            on(result("sft", {0: 20, 10: 60}, seed=0), "t"),
            on(result("kl", {0: 20, 10: 60}, seed=0), "t"),
            on(result("0-shot", {0: 70}, shots=0), "other"),
            on(result("sft@t", {0: 70, 10: 40}, seed=0), "other"),
            on(result("kl@t", {0: 70, 10: 69}, seed=0), "other"),
        ],
        ignore_index=True,
    )


def test_what_a_condition_gained_and_forgot_stands_side_by_side(answered):
    table = retention(answered, SETTINGS)
    assert table.columns.tolist() == COLUMNS
    assert set(table["task"]) == {"t"}
    verdicts = table.set_index(["condition", "answered"])["verdict"].to_dict()
    assert verdicts == {
        ("sft", "t"): "better",
        ("kl", "t"): "better",
        ("sft", "other"): "forgotten",
        ("kl", "other"): "not shown",
    }
    forgotten = table.query("condition == 'sft' and answered == 'other'").iloc[0]
    assert (forgotten["base_accuracy"], forgotten["accuracy"]) == pytest.approx((0.7, 0.4))
    assert forgotten["difference"] == pytest.approx(-0.3)
    assert forgotten["difference_high"] < 0


def test_what_training_elsewhere_improved_is_gained(answered):
    answered.loc[answered["condition"] == "sft@t", "strict"] = True
    table = retention(answered, SETTINGS).set_index(["condition", "answered"])
    assert table.loc[("sft", "other"), "verdict"] == "gained"


def test_the_test_is_that_of_a_comparison_group_of_the_retained_task(answered):
    other = answered[answered["task"] == "other"]
    members = ("0-shot", "sft@t", "kl@t")
    pairs = tuple((name, "0-shot") for name in members[1:])
    group = ComparisonSlice(name="from-t", members=members, design="first", pairs=pairs)
    theirs = compare(other, [group], SETTINGS)
    ours = retention(answered, SETTINGS)
    ours = ours[ours["answered"] == "other"].reset_index(drop=True)
    columns = ["difference", "difference_low", "difference_high", "p", "p_holm", "detectable"]
    pd.testing.assert_frame_equal(ours[columns], theirs[columns])
    assert ours["p_holm"].max() > ours["p"].max() or ours["p"].max() == 1


def test_seeds_have_rows_of_their_own_and_one_over_all(result):
    runs = [
        on(result(name, {0: 20, 10: 50}, seed=seed), task)
        for name, task in (("sft", "t"), ("sft@t", "other"))
        for seed in range(3)
    ]
    base = [on(result("0-shot", {0: 20}, shots=0), task) for task in ("t", "other")]
    table = retention(pd.concat([*base, *runs], ignore_index=True), SETTINGS)
    assert table["seed"].tolist() == ["0", "1", "2", "all"] * 2


def test_the_table_is_read_again_with_its_words(answered, tmp_path):
    entries = []
    for (task, name), own in answered.groupby(["task", "condition"], sort=False):
        seed = None if name == "0-shot" else 0
        rows = own.drop(columns=["model", "task", "condition", "seed", "draw", "shots"])
        if "@" in name:
            rows = rows.assign(task=task, shots=0)
        path = save(rows.reset_index(drop=True), tmp_path / f"{task}-{name}.parquet")
        keys = {"seed": seed, "shots": 0 if seed is None else None, "predictions": path}
        entries.append({"model": "m", "task": task, "condition": name} | keys)
    index = ResultIndex.model_validate(entries)
    module.main(SETTINGS, index, tmp_path / "retention.csv")
    table = read_table(tmp_path / "retention.csv")
    expected = retention(read_predictions(index), SETTINGS)
    assert table["verdict"].tolist() == expected["verdict"].tolist()
    assert table["answered"].tolist() == ["t", "t", "other", "other"]


def test_other_items_than_the_base_models_are_refused(answered):
    is_missing = (answered["condition"] == "sft@t") & (answered["item"] == "test-5")
    with pytest.raises(InputError, match="m other: item test-5 has no result in sft"):
        retention(answered[~is_missing], SETTINGS)
