"""Drift of made-up runs: tables of means, and of differences to the baseline."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t, ttest_rel

from tests.outputs import save
from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.results.index import read_table
from workflow_scripts.results.statistics import crossed_difference, crossed_differences, holm
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.tables.drift import RepresentationEntry, main, measure_drift

SETTINGS = AnalysisSettings()
LAYERS = 3
ITEMS = 12
Run = Callable[..., RepresentationEntry]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Leaves the files of a run; `amount` is how far it drifts on average at the last step."""

    def make(
        condition: str,
        seed: int = 0,
        amount: float = 0.1,
        items: int = ITEMS,
        steps: tuple[int, ...] = (0, 5),
        note: str = "",
        draw: int | None = None,
    ) -> RepresentationEntry:
        # the same items are hard for every run
        generator = np.random.default_rng([seed, sum(map(ord, condition))])
        hard = np.random.default_rng(0).normal(size=items)
        rows, alike = [], []
        for step in steps:
            for position in ("query", "answer"):
                for layer in range(LAYERS):
                    place = {"step": step, "position": position, "layer": layer}
                    noise = 0.02 * hard + 0.005 * generator.normal(size=items)
                    drift = (amount + noise) * step / 5 * (1 + layer)
                    rows += [
                        {"split": "test", "item": f"i{n:02}", **place}
                        | {"drift": value, "teacher_distance": 1 - value}
                        for n, value in enumerate(drift)
                    ]
                    cka = 1 - amount * step / 5
                    svcca = {"svcca": None if note else cka, "svcca_dimensions": 7 + seed}
                    alike.append({**place, "rows": 40, "cka": cka, **svcca, "note": note})
        folder = tmp_path / condition / f"seed-{seed}"
        folder = folder if draw is None else folder.with_name(f"{folder.name}-draw-{draw}")
        folder.mkdir(parents=True)
        save(pd.DataFrame(rows), folder / "representations.parquet")
        save(pd.DataFrame(alike), folder / "similarity.csv")
        return RepresentationEntry(
            model="m",
            task="t",
            condition=condition,
            seed=seed,
            draw=draw,
            representations=folder / "representations.parquet",
            similarity=folder / "similarity.csv",
        )

    return make


def values_of(entry: RepresentationEntry, layer: int, position: str = "query", step: int = 5):
    """(items,) drift."""
    table = pd.read_parquet(entry.representations)
    wanted = {"layer": layer, "position": position, "step": step}
    return table[(table[list(wanted)] == pd.Series(wanted)).all(axis=1)]["drift"].to_numpy()


def row_of(table: pd.DataFrame, **wanted: object) -> pd.Series:
    (row,) = table[(table[list(wanted)] == pd.Series(wanted)).all(axis=1)].iloc
    return row


# --- drift.csv --------------------------------------------------------------------------------


def test_each_seed_has_means_over_items_with_a_t_interval(run):
    entry = run("sft")
    drift, _ = measure_drift([entry], SETTINGS)
    row = row_of(drift, seed="0", step=5, position="query", layer=2)
    values = values_of(entry, layer=2)
    half = t.ppf(0.975, ITEMS - 1) * values.std(ddof=1) / math.sqrt(ITEMS)
    found = row[["drift", "drift_low", "drift_high"]].tolist()
    assert found == pytest.approx([values.mean(), values.mean() - half, values.mean() + half])
    found = row[["teacher_distance", "teacher_distance_low", "teacher_distance_high"]].tolist()
    assert found == pytest.approx(
        [1 - values.mean(), 1 - values.mean() - half, 1 - values.mean() + half]
    )
    assert (row["items"], row["rows"]) == (ITEMS, 40)


def test_over_seeds_the_interval_counts_seeds_and_items(run):
    entries = [run("sft", seed, amount) for seed, amount in ((0, 0.1), (1, 0.2), (2, 0.15))]
    drift, _ = measure_drift(entries, SETTINGS)
    assert drift["seed"].unique().tolist() == ["0", "1", "2", "all"]
    row = row_of(drift, seed="all", step=5, position="answer", layer=1)
    values = np.stack([values_of(entry, layer=1, position="answer") for entry in entries])
    expected = crossed_difference(values, 0.95)
    found = row[["drift", "drift_low", "drift_high"]].tolist()
    assert found == pytest.approx([expected.estimate, *expected.interval])
    assert (row["cka"], row["svcca_dimensions"]) == (pytest.approx(0.85), 9)


def test_a_similarity_that_is_undefined_in_a_seed_is_so_over_seeds_with_its_note(run):
    entries = [run("sft", 0), run("sft", 1, note="svcca: 40 rows of 50 for 10 dimensions")]
    drift, _ = measure_drift(entries, SETTINGS)
    row = row_of(drift, seed="all", step=5, position="query", layer=0)
    assert math.isnan(row["svcca"])
    assert row["note"] == "svcca: 40 rows of 50 for 10 dimensions"


def test_every_condition_has_every_step_position_and_layer(run):
    drift, _ = measure_drift([run("sft"), run("other")], SETTINGS)
    keys = ["condition", "seed", "step", "position", "layer"]
    assert not drift.duplicated(keys).any()
    assert len(drift) == 2 * 2 * 2 * LAYERS


# --- drift_comparisons.csv --------------------------------------------------------------------


def test_one_seed_is_compared_by_a_paired_t_test_over_items_at_the_last_step(run):
    sft, other = run("sft"), run("other", amount=0.11)
    _, comparisons = measure_drift([sft, other], SETTINGS)
    row = row_of(comparisons, first="other", position="answer", layer=1)
    first, second = (values_of(entry, layer=1, position="answer") for entry in (other, sft))
    expected = ttest_rel(first, second)
    assert row["p"] == pytest.approx(expected.pvalue)
    interval = expected.confidence_interval(0.95)
    assert row[["difference_low", "difference_high"]].tolist() == pytest.approx(list(interval))
    assert (row["second"], row["step"], row["items"]) == ("sft", 5, ITEMS)
    assert row["difference"] == pytest.approx(row["first_drift"] - row["second_drift"])


def test_three_seeds_are_compared_over_seeds_and_items(run):
    runs = {
        condition: [run(condition, seed, amount) for seed in range(3)]
        for condition, amount in (("sft", 0.1), ("other", 0.13))
    }
    _, comparisons = measure_drift(runs["sft"] + runs["other"], SETTINGS)
    row = row_of(comparisons, seed="all", position="query", layer=0)
    first, second = (
        np.stack([values_of(entry, layer=0) for entry in runs[name]]) for name in ("other", "sft")
    )
    (expected,) = crossed_differences(np.stack([first, second], axis=2), [(0, 1)], 0.95)
    assert (row["p"], row["difference"]) == pytest.approx((expected.p, expected.estimate))
    assert row["verdict"] == "more"


def test_all_layers_are_compared_by_their_mean(run):
    sft, other = run("sft"), run("other", amount=0.05)
    _, comparisons = measure_drift([sft, other], SETTINGS)
    at_query = comparisons[comparisons["position"] == "query"].set_index("layer")
    layers = at_query.drop(index="all")["difference"]
    assert at_query.loc["all", "difference"] == pytest.approx(layers.mean())
    assert at_query.loc["all", "verdict"] == "less"


def test_the_means_over_layers_are_corrected_over_conditions_and_positions(run):
    runs = [run("sft"), run("near", amount=0.1015), run("far", amount=0.104)]
    _, comparisons = measure_drift(runs, SETTINGS)
    whole = comparisons[comparisons["layer"] == "all"]
    assert len(whole) == 4
    assert whole["p_holm"].tolist() == pytest.approx(holm(whole["p"].tolist()).tolist())
    assert (whole["p_holm"] > whole["p"]).any()


def test_layers_are_corrected_within_their_condition_and_position(run):
    runs = [run("sft"), run("near", amount=0.1015), run("far", amount=0.104)]
    _, comparisons = measure_drift(runs, SETTINGS)
    layers = comparisons[comparisons["layer"] != "all"]
    groups = layers.groupby(["first", "position"])
    assert len(groups) == 4
    for _, own in groups:
        assert own["p_holm"].tolist() == pytest.approx(holm(own["p"].tolist()).tolist())


def test_runs_that_drift_alike_show_nothing(run):
    same = run("other")
    sft = same.model_copy(update={"condition": "sft"})
    _, comparisons = measure_drift([sft, same], SETTINGS)
    assert set(comparisons["p"]) == {1.0}
    assert set(comparisons["verdict"]) == {"not shown"}


def test_two_seeds_are_too_few_to_test_and_the_table_says_so(run):
    runs = [
        run(name, seed, amount) for name, amount in (("sft", 0.1), ("b", 0.3)) for seed in (0, 1)
    ]
    _, comparisons = measure_drift(runs, SETTINGS)
    over_seeds = comparisons[comparisons["seed"] == "all"]
    assert over_seeds["p"].isna().all()
    assert set(over_seeds["verdict"]) == {"not shown"}
    assert set(over_seeds["note"]) == {"too few seeds: 2 of 3"}


def test_a_single_item_is_too_few_to_test_and_the_table_says_so(run):
    runs = [run("sft", items=1), run("other", amount=0.3, items=1)]
    drift, comparisons = measure_drift(runs, SETTINGS)
    assert drift["drift_low"].isna().all()
    assert comparisons["p_holm"].isna().all()
    assert set(comparisons["note"]) == {"too few items: 1 of 2"}


def test_without_the_baseline_nothing_is_compared(run):
    drift, comparisons = measure_drift([run("layerwise")], SETTINGS)
    assert len(drift)
    assert comparisons.empty
    assert "verdict" in comparisons


def test_trainings_of_different_lengths_meet_at_their_last_steps(run):
    _, comparisons = measure_drift([run("sft"), run("longer", steps=(0, 5, 10))], SETTINGS)
    row = row_of(comparisons, first="longer", position="query", layer=0)
    assert row["step"] == 10
    assert row["first_drift"] == pytest.approx(2 * row["second_drift"], rel=0.1)


# --- bad input --------------------------------------------------------------------------------


def test_runs_without_representations_are_named(run):
    runs = [run("sft"), run("other", 3), run("another", 4)]
    runs[1].representations.unlink()
    runs[2].similarity.unlink()
    with pytest.raises(InputError, match="m t: no representations of other seed 3, another seed 4"):
        measure_drift(runs, SETTINGS)


def test_runs_on_other_items_are_not_compared(run):
    with pytest.raises(InputError, match="other and sft have different seeds or items"):
        measure_drift([run("sft"), run("other", items=9)], SETTINGS)


def test_a_file_that_is_no_table_is_named(run):
    entry = run("sft")
    save("nothing", entry.representations)
    with pytest.raises(
        InputError, match=r"sft/seed-0/representations.parquet: not representations"
    ):
        measure_drift([entry], SETTINGS)


# --- the entry point --------------------------------------------------------------------------


@pytest.fixture
def written(tmp_path: Path):
    """Both tables as they are written."""

    def call(*entries: RepresentationEntry) -> tuple[pd.DataFrame, pd.DataFrame]:
        output, comparisons = tmp_path / "drift.csv", tmp_path / "drift_comparisons.csv"
        main(AnalysisSettings(), list(entries), output, comparisons)
        return read_table(output), read_table(comparisons)

    return call


def test_both_tables_are_written(written, run):
    drift, comparisons = written(run("sft"), run("other", amount=0.3))
    assert len(drift) == 2 * 2 * 2 * LAYERS
    assert set(comparisons["verdict"]) == {"more"}
    assert set(comparisons["layer"]) == {"all", "0", "1", "2"}


def test_where_nothing_is_trained_both_tables_are_empty(written):
    for table in written():
        assert table.empty
        assert {"model", "task", "seed", "layer"} <= set(table)


# --- draws of demonstrations --------------------------------------------------------------


def in_draws(run: Run, seeds: int) -> list[RepresentationEntry]:
    """Fine-tuning in each seed, and a student in each seed and draw that drifts less."""
    gold = [run("sft", seed) for seed in range(seeds)]
    own = [
        run("answers", seed, amount=0.05 + 0.001 * draw, draw=draw)
        for draw in range(3)
        for seed in range(seeds)
    ]
    return gold + own


def test_each_draw_and_seed_has_its_drift_and_all_have_their_mean(run):
    drift, _ = measure_drift(in_draws(run, 2), SETTINGS)
    keys = drift[drift["condition"] == "answers"][["seed", "draw"]].drop_duplicates()
    each = [[str(seed), str(draw)] for draw in range(3) for seed in range(2)]
    assert keys.values.tolist() == [*each, ["all", "all"]]
    assert drift.loc[drift["condition"] == "sft", "draw"].isna().all()
    last = drift[(drift["condition"] == "answers") & (drift["step"] == 5) & (drift["layer"] == 0)]
    of_each = last[last["position"] == "query"]
    assert of_each["drift"].iloc[-1] == pytest.approx(of_each["drift"].iloc[:-1].mean())


def test_a_baseline_that_no_draw_reaches_is_compared_in_each(run):
    _, compared = measure_drift(in_draws(run, 3), SETTINGS)
    whole = compared[(compared["layer"] == "all") & (compared["position"] == "query")]
    assert len(whole) == 10
    of_seed = whole[whole["seed"] == "1"]
    assert of_seed["draw"].tolist() == ["0", "1", "2"]
    assert of_seed["second_drift"].nunique() == 1
    pooled = whole.iloc[-1]
    assert (pooled["seed"], pooled["draw"], pooled["verdict"]) == ("all", "all", "less")


def test_missing_representations_of_a_draw_are_named_with_it(run):
    runs = in_draws(run, 1)
    runs[-1].similarity.unlink()
    with pytest.raises(InputError, match="m t: no representations of answers seed 0 draw 2"):
        measure_drift(runs, SETTINGS)
