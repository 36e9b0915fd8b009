from __future__ import annotations

import pandas as pd
import pytest

from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.results.statistics import wilson
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.tables.summary import summarise

SETTINGS = AnalysisSettings(bootstrap_samples=4000)


def test_every_result_has_a_row_for_each_step_and_split(result):
    both = pd.concat([result("0-shot", {0: 5}, shots=0), result("sft", {0: 5, 10: 60}, seed=0)])
    table = summarise(both, SETTINGS)
    assert len(table) == 2 * (1 + 2)
    row = table[(table["step"] == 10) & (table["split"] == "test")].iloc[0]
    assert row[["items", "accuracy_strict", "accuracy_flexible"]].tolist() == [100, 0.6, 1.0]


def test_one_seed_is_not_repeated_as_all(result):
    assert summarise(result("sft", {10: 60}, seed=3), SETTINGS)["seed"].unique().tolist() == [3]


def over_seeds(*runs: pd.DataFrame) -> pd.Series:
    table = summarise(pd.concat(runs), SETTINGS)
    return table[(table["seed"] == "all") & (table["split"] == "test")].iloc[0]


def test_several_seeds_have_a_row_with_their_mean(result):
    row = over_seeds(result("sft", {10: 40}, seed=0), result("sft", {10: 60}, seed=1))
    assert row["accuracy_strict"] == pytest.approx(0.5)
    assert row["answer_loss"] == pytest.approx(1.599)


def test_seeds_that_agree_on_every_item_count_its_items_once(result):
    row = over_seeds(result("sft", {10: 40}, seed=0), result("sft", {10: 40}, seed=1))
    low, high = wilson(40, 100, 0.95)
    assert row["accuracy_strict_low"] == pytest.approx(low, abs=0.01)
    assert row["accuracy_strict_high"] == pytest.approx(high, abs=0.01)


def test_seeds_that_disagree_widen_the_interval(result):
    agree = over_seeds(result("sft", {10: 40}, seed=0), result("sft", {10: 40}, seed=1))
    differ = over_seeds(result("sft", {10: 5}, seed=0), result("sft", {10: 75}, seed=1))
    width = {
        name: row["accuracy_strict_high"] - row["accuracy_strict_low"]
        for name, row in (("agree", agree), ("differ", differ))
    }
    assert width["differ"] > 1.5 * width["agree"]


def test_seeds_with_different_items_are_refused(result):
    first, second = (result("sft", {10: 40}, seed=seed) for seed in (0, 1))
    with pytest.raises(InputError, match="item test-3 has no result in 10, seed 1"):
        summarise(pd.concat([first, second[second["item"] != "test-3"]]), SETTINGS)


def test_transferred_results_are_summarised_by_seed_alone(result):
    """The steps were chosen on another task, for each seed its own."""
    runs = [result("sft@gsm8k", {0: 5, 10 * (seed + 1): 60}, seed=seed) for seed in (0, 1)]
    table = summarise(pd.concat(runs), SETTINGS)
    assert table["seed"].unique().tolist() == [0, 1]


def test_untrained_models_have_one_row_for_each_split(result):
    assert len(summarise(result("0-shot", {0: 5}, shots=0), SETTINGS)) == 2


def test_a_result_has_rows_of_each_seed_and_draw_and_of_all(result):
    runs = [
        result("sft", {10: 40 + 10 * draw + seed}, seed=seed, draw=draw)
        for draw in (0, 1)
        for seed in (0, 1)
    ]
    table = summarise(pd.concat(runs), SETTINGS)
    test = table[table["split"] == "test"]
    assert test["accuracy_strict"].tolist() == pytest.approx([0.4, 0.41, 0.5, 0.51, 0.455])
    last = test.iloc[-1]
    assert (last["seed"], last["draw"], last["items"]) == ("all", "all", 100)


def test_a_base_result_in_several_draws_has_a_mean_over_them_and_no_seed(result):
    base = [result("8-shot", {0: 60 + draw}, shots=8, draw=draw) for draw in range(3)]
    last = summarise(pd.concat(base), SETTINGS).iloc[-1]
    assert pd.isna(last["seed"])
    assert (last["draw"], last["accuracy_strict"]) == ("all", pytest.approx(0.61))


def test_what_no_draw_reaches_has_no_draw(result):
    runs = [result("sft", {10: 40}, seed=seed) for seed in (0, 1)]
    assert summarise(pd.concat(runs), SETTINGS)["draw"].isna().all()
