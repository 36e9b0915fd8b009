from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.outputs import save
from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.results.index import ResultIndex
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.tables.icl_gap import icl_gap_table, main

SETTINGS = AnalysisSettings(bootstrap_samples=500, qualifying_gap=0.05, quick_look=None)
QUICK = SETTINGS.model_copy(update={"quick_look": 16})
PARAMETERS = 135


def base_results(correct: dict[int, int], items: int = 100) -> pd.DataFrame:
    """Base results with these numbers of correct items at each shot count, on both splits."""
    return pd.concat(
        pd.DataFrame(
            {
                "model": "m",
                "task": "t",
                "condition": f"{shots}-shot",
                "shots": shots,
                "seed": pd.NA,
                "draw": pd.NA,
                "split": split,
                "item": [f"{split}-{i}" for i in range(items)],
                "step": 0,
                "prediction": "word",
                "strict": np.arange(items) < count,
                "flexible": True,
                "selection": True,
                "selection_loss": 1.0,
                "answer_loss": 1.0,
            }
        )
        for shots, count in correct.items()
        for split in ("validation", "test")
    )


def test_the_gap_is_the_accuracy_minus_that_at_zero_shots():
    table = icl_gap_table(base_results({0: 10, 4: 30, 8: 70}), PARAMETERS, "float32", SETTINGS)
    test = table[table["split"] == "test"]
    assert dict(zip(test["shots"], test["gap"], strict=True)) == pytest.approx(
        {0: 0.0, 4: 0.2, 8: 0.6}
    )


def test_the_gap_interval_is_paired_over_items():
    """Ten items gained and none lost: far narrower than two independent accuracies."""
    table = icl_gap_table(base_results({0: 50, 8: 60}), PARAMETERS, "float32", SETTINGS)
    row = table[(table["split"] == "test") & (table["shots"] == 8)].iloc[0]
    assert 0 < row["gap_low"] < 0.1 < row["gap_high"] < 0.17


def test_a_gap_of_graded_scores_is_paired_over_items_as_well():
    base = base_results({0: 50, 8: 60})
    graded = base.assign(strict=base["strict"] * 0.5 + 0.001)
    table = icl_gap_table(graded, PARAMETERS, "float32", SETTINGS)
    row = table[(table["split"] == "test") & (table["shots"] == 8)].iloc[0]
    assert row["gap"] == pytest.approx(0.05)
    assert 0 < row["gap_low"] < 0.05 < row["gap_high"] < 0.09


@pytest.mark.parametrize(("most", "qualifies"), [(15, True), (14, False)])
def test_a_model_qualifies_from_the_configured_gap_on(most, qualifies):
    table = icl_gap_table(base_results({0: 10, 8: most}), PARAMETERS, "float32", SETTINGS)
    assert set(table["qualifies"]) == {qualifies}


def test_the_largest_shot_count_decides_who_qualifies():
    table = icl_gap_table(base_results({0: 10, 4: 90, 8: 10}), PARAMETERS, "float32", SETTINGS)
    assert not table["qualifies"].any()


@pytest.mark.parametrize(("most", "decided"), [(2, True), (18, False), (60, True)])
def test_a_gap_is_decided_when_its_interval_leaves_out_the_threshold(most, decided):
    table = icl_gap_table(base_results({0: 10, 8: most}), PARAMETERS, "float32", SETTINGS)
    assert set(table["decided"]) == {decided}


def test_every_row_says_how_large_the_model_is_and_in_which_precision():
    table = icl_gap_table(base_results({0: 10, 8: 70}), PARAMETERS, "float32", SETTINGS)
    assert set(table["parameters"]) == {PARAMETERS}
    assert set(table["dtype"]) == {"float32"}


# --- the quick look -----------------------------------------------------------------------


def test_the_quick_look_is_the_first_items_of_the_test_split():
    """10 of the first 16 items are correct without demonstrations, and all of them with."""
    table = icl_gap_table(base_results({0: 10, 8: 70}), PARAMETERS, "float32", QUICK)
    quick = table[table["sample"] == "first-16"]
    assert quick[["split", "shots", "items"]].values.tolist() == [["test", 0, 16], ["test", 8, 16]]
    assert quick["gap"].tolist() == pytest.approx([0, 6 / 16])


def test_the_quick_look_qualifies_and_decides_by_itself():
    """The first 16 items are all correct, 30 of the later ones only with demonstrations.

    No disagreement among 16 items leaves a gap of the threshold's size open.
    """
    table = icl_gap_table(base_results({0: 20, 8: 50}), PARAMETERS, "float32", QUICK)
    found = table.groupby("sample")[["qualifies", "decided"]].all()
    assert found.loc["all"].tolist() == [True, True]
    assert found.loc["first-16"].tolist() == [False, False]


def test_the_whole_split_is_the_same_beside_a_quick_look():
    base = base_results({0: 10, 8: 70})
    with_quick = icl_gap_table(base, PARAMETERS, "float32", QUICK)
    whole = with_quick[with_quick["sample"] == "all"]
    pd.testing.assert_frame_equal(whole, icl_gap_table(base, PARAMETERS, "float32", SETTINGS))


@pytest.mark.parametrize(("items", "samples"), [(16, {"all"}), (17, {"all", "first-16"})])
def test_a_split_with_no_more_items_has_no_quick_look(items, samples):
    table = icl_gap_table(base_results({0: 1, 8: 7}, items), PARAMETERS, "float32", QUICK)
    assert set(table["sample"]) == samples


# --- refusals and files -------------------------------------------------------------------


def test_results_without_zero_shots_are_refused():
    with pytest.raises(InputError, match="m t: no result at 0 shots"):
        icl_gap_table(base_results({4: 30, 8: 70}), PARAMETERS, "float32", SETTINGS)


@pytest.fixture
def index(tmp_path: Path) -> ResultIndex:
    """Base results on disk."""
    entries = []
    for shots, rows in base_results({0: 10, 8: 70}).groupby("shots"):
        path = tmp_path / f"{shots}.parquet"
        save(rows, path)
        key = {"model": "m", "task": "t", "condition": f"{shots}-shot", "shots": shots}
        entries.append(key | {"predictions": path, "seed": None})
    return ResultIndex.model_validate(entries)


def test_the_entry_point_writes_the_table(index, tmp_path):
    manifest, output = tmp_path / "manifest.json", tmp_path / "icl_gap.csv"
    save({"parameters": 134515008, "dtype": "float32"}, manifest)
    main(SETTINGS, manifest, index, output)
    table = pd.read_csv(output)
    assert table["accuracy_strict"].tolist() == [0.1, 0.7, 0.1, 0.7]
    assert set(table["parameters"]) == {134515008}


def test_a_manifest_without_parameters_is_refused(index, tmp_path):
    manifest = tmp_path / "manifest.json"
    save({}, manifest)
    with pytest.raises(InputError, match=f"{manifest}: says no number of `parameters`"):
        main(SETTINGS, manifest, index, tmp_path / "icl_gap.csv")


# --- draws of demonstrations, and contexts of teachers ------------------------------------


def in_draws(correct: Sequence[int], condition: str = "8-shot") -> pd.DataFrame:
    """A context in several draws, with these numbers of correct items."""
    parts = [
        base_results({8: count}).assign(draw=draw, condition=condition)
        for draw, count in enumerate(correct)
    ]
    return pd.concat(parts)


def test_the_gap_is_that_of_each_draw_and_of_their_mean():
    base = pd.concat([base_results({0: 10}), in_draws([50, 60, 70])])
    table = icl_gap_table(base.astype({"draw": "Int64"}), PARAMETERS, "float32", SETTINGS)
    test = table[table["split"] == "test"]
    assert test["draw"].astype(object).where(test["draw"].notna(), None).tolist() == [
        *(None, "0", "1", "2", "all"),
    ]
    assert test["gap"].tolist() == pytest.approx([0, 0.4, 0.5, 0.6, 0.5])
    each, pooled = test.iloc[2], test.iloc[4]
    assert pooled["gap_low"] < each["gap_low"] < each["gap_high"] < pooled["gap_high"]


def test_a_model_qualifies_by_the_mean_over_draws():
    base = pd.concat([base_results({0: 10}), in_draws([10, 10, 22])])
    table = icl_gap_table(base.astype({"draw": "Int64"}), PARAMETERS, "float32", SETTINGS)
    assert set(table["qualifies"]) == {False}


def test_a_teachers_context_has_a_gap_of_its_own_and_decides_where_no_shots_do():
    teacher = base_results({0: 80}).assign(condition="instructed")
    base = pd.concat([base_results({0: 10}), teacher])
    table = icl_gap_table(base, PARAMETERS, "float32", SETTINGS)
    test = table[table["split"] == "test"].set_index("condition")
    assert test["gap"].to_dict() == pytest.approx({"0-shot": 0, "instructed": 0.7})
    assert set(table["qualifies"]) == {True}


def test_beside_demonstrations_a_teachers_context_does_not_decide():
    teacher = base_results({8: 80}).assign(condition="instructed")
    base = pd.concat([base_results({0: 10, 8: 11}), teacher])
    table = icl_gap_table(base, PARAMETERS, "float32", SETTINGS)
    assert set(table["qualifies"]) == {False}
