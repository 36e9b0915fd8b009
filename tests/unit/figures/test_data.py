from __future__ import annotations

import pandas as pd

from workflow_scripts.figures.data import one_value_a_row
from workflow_scripts.results.index import read_table
from workflow_scripts.results.table_rows import chosen_results, over_seeds


def test_a_condition_with_several_seeds_is_shown_over_all_of_them():
    table = pd.DataFrame(
        {
            "model": "m",
            "task": "t",
            "condition": ["0-shot", "sft", "sft", "sft"],
            "seed": pd.array([None, "0", "1", "all"], dtype="string"),
        }
    )
    assert over_seeds(table)["seed"].tolist() == [pd.NA, "all"]


def test_a_single_seed_is_shown_as_it_is():
    table = pd.DataFrame({"model": "m", "task": "t", "first": "a", "second": "b", "seed": ["0"]})
    assert over_seeds(table)["seed"].tolist() == ["0"]


def test_no_comparisons_stay_none():
    columns = ["model", "task", "first", "second", "seed"]
    assert over_seeds(pd.DataFrame(columns=columns)).empty


def test_forest_plot_list_every_condition_once_and_best_first(one_seed):
    table = chosen_results(read_table(one_seed.folder / "comparisons.csv"))
    assert len(table) == table["condition"].nunique() == 7
    assert table["accuracy"].is_monotonic_decreasing


def test_each_measure_has_a_row_with_its_interval():
    wide = pd.DataFrame({"step": [0, 5], "a": [1, 2], "a_low": [0, 1], "a_high": [2, 3]})
    wide = wide.assign(b=7, b_low=6, b_high=8)
    long = one_value_a_row(wide, ["step"], ["a", "b"])
    assert long.columns.tolist() == ["step", "measure", "value", "low", "high"]
    assert long.to_numpy().tolist() == [
        [0, "a", 1, 0, 2],
        [5, "a", 2, 1, 3],
        [0, "b", 7, 6, 8],
        [5, "b", 7, 6, 8],
    ]
