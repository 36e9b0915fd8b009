from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.outputs import save
from workflow_scripts.results.index import RUN_KEYS, ResultIndex
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.tables.noise import COLUMNS, main, noise


@pytest.fixture
def first(result) -> pd.DataFrame:
    return result("sft", {0: 0, 10: 60, 20: 80}, seed=0)


@pytest.fixture
def again(first) -> pd.DataFrame:
    """The test items at step 20, in reverse order."""
    return first[(first["split"] == "test") & (first["step"] == 20)].iloc[::-1]


def only_row(first: pd.DataFrame, again: pd.DataFrame) -> pd.Series:
    table = noise(first, again)
    assert len(table) == 1
    return table.iloc[0]


def test_the_same_answers_in_another_order_are_no_noise(first, again):
    row = only_row(first, again)
    assert row[["condition", "seed", "step", "items"]].tolist() == ["sft", 0, 20, 100]
    assert row[["accuracy", "repeated_accuracy"]].tolist() == [0.8, 0.8]
    assert (row[["changed_predictions", "changed_strict", "loss_difference"]] == 0).all()


def test_another_prediction_need_not_change_the_score(first, again):
    changed = again["item"].isin(["test-85", "test-90", "test-95"])
    row = only_row(first, again.assign(prediction=again["prediction"].mask(changed, "other")))
    assert row[["changed_predictions", "changed_strict"]].tolist() == [3, 0]


def test_scores_that_change_both_ways_cancel_in_the_accuracy_alone(first, again):
    """Two of the first 80 items, which were right, become wrong, and one of the others right."""
    flipped = again["item"].isin(["test-3", "test-4", "test-90"])
    row = only_row(first, again.assign(strict=again["strict"] ^ flipped))
    assert row["changed_strict"] == 3
    assert row["difference"] == pytest.approx(-0.01)
    assert row["repeated_accuracy"] == pytest.approx(0.79)


def test_losses_differ_by_their_absolute_values(first, again):
    up, down = again["item"] == "test-0", again["item"] == "test-1"
    row = only_row(first, again.assign(answer_loss=again["answer_loss"] + 0.3 * up - 0.1 * down))
    assert row["loss_difference"] == pytest.approx(0.4 / 100)
    assert row["loss_difference_max"] == pytest.approx(0.3)


def test_an_item_of_the_second_time_only_is_refused_by_name(first, again):
    with pytest.raises(InputError, match=r"m t sft seed 0: item test-7 .* step 20"):
        noise(first[first["item"] != "test-7"], again)


def test_the_entry_point_reads_the_run_twice(first, again, tmp_path: Path):
    indexes: list[list[dict[str, object]]] = []
    for name, table in (("first", first), ("again", again)):
        path = tmp_path / f"{name}.parquet"
        save(table.drop(columns=[*RUN_KEYS, "shots"]), path)
        entry = {"model": "m", "task": "t", "condition": "sft", "seed": 0, "shots": None}
        indexes.append([entry | {"predictions": path}])
    assert written(tmp_path, *indexes)["items"].tolist() == [100]


def test_where_nothing_is_trained_there_are_columns_and_no_rows(tmp_path: Path):
    table = written(tmp_path, [], [])
    assert table.empty
    assert list(table.columns) == COLUMNS


def written(folder: Path, *indexes: list[dict[str, object]]) -> pd.DataFrame:
    """What the entry point writes."""
    index, repeated = map(ResultIndex.model_validate, indexes)
    main(index, repeated, folder / "noise.csv")
    return pd.read_csv(folder / "noise.csv")
