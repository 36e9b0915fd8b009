from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.config.comparisons import MarginAsked
from workflow_scripts.config.slices import ComparisonSlice
from workflow_scripts.results.statistics import (
    bootstrap_means,
    crossed_differences,
    exact_mcnemar,
    newcombe_paired,
    paired_difference,
    paired_mean_difference,
    percentile_interval,
    smallest_detectable,
    wilson,
)
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.study.comparison_groups import pairs_of
from workflow_scripts.tables.comparisons import COLUMNS, compare, decide
from workflow_scripts.tables.verdicts import MARGIN_COLUMNS

SETTINGS = AnalysisSettings(bootstrap_samples=1000)


def group(*members: str, name: str = "main", design: str = "pairs") -> ComparisonSlice:
    pairs = pairs_of(members, design)
    return ComparisonSlice(name=name, members=members, design=design, pairs=pairs)


def all_pairs(predictions: pd.DataFrame) -> pd.DataFrame:
    """Comparisons in one group of all results, in the order of the predictions."""
    return compare(predictions, [group(*predictions["condition"].unique())], SETTINGS)


def only_row(predictions: pd.DataFrame) -> pd.Series:
    table = all_pairs(predictions)
    assert len(table) == 1
    return table.iloc[0]


@pytest.fixture
def weak(result) -> pd.DataFrame:
    return result("weak", {0: 0, 10: 30}, seed=0)


@pytest.fixture
def strong(result) -> pd.DataFrame:
    return result("strong", {0: 0, 10: 60}, seed=0)


def test_a_large_difference_is_better(weak, strong):
    row = only_row(pd.concat([weak, strong]))
    assert row[["first", "second", "verdict"]].tolist() == ["strong", "weak", "better"]


def test_its_mirror_is_worse(weak, strong):
    row = only_row(pd.concat([strong, weak]))
    assert row[["first", "second", "verdict"]].tolist() == ["weak", "strong", "worse"]


def test_identical_runs_are_not_shown_to_differ(strong):
    row = only_row(pd.concat([strong, strong.assign(condition="twin")]))
    assert row[["difference", "p_holm", "verdict"]].tolist() == [0.0, 1.0, "not shown"]
    assert row["difference_low"] < 0 < row["difference_high"]


def test_items_are_paired_by_name_and_not_by_row_order(strong):
    shuffled = strong.assign(condition="twin").sample(frac=1, random_state=0)
    assert only_row(pd.concat([strong, shuffled]))["discordant"] == 0


def test_equal_accuracies_on_other_items_are_discordant(result):
    runs = [result("a", {10: 50}, seed=0), result("b", {10: 50}, seed=0, first=50)]
    row = only_row(pd.concat(runs))
    assert row[["difference", "discordant", "verdict"]].tolist() == [0.0, 100, "not shown"]


def test_a_seed_has_mcnemars_p_and_newcombes_interval(weak, strong):
    row = only_row(pd.concat([weak, strong]))
    better, worse = np.arange(100) < 60, np.arange(100) < 30
    assert row[["p", "p_holm"]].tolist() == [exact_mcnemar(better, worse)] * 2
    interval = row[["difference_low", "difference_high"]].tolist()
    assert interval == list(newcombe_paired(better, worse, 0.95))


def test_the_bootstrap_interval_stands_beside(weak, strong):
    row = only_row(pd.concat([weak, strong]))
    correct = np.arange(100)[np.newaxis, :, np.newaxis] < [60, 30]
    draws = bootstrap_means(correct, 1000, SETTINGS.seed)
    expected = percentile_interval(draws[:, 0] - draws[:, 1], 0.95)
    # the fixture's items are put in the order of their names: another draw of the same
    assert row[["bootstrap_low", "bootstrap_high"]].tolist() == pytest.approx(expected, abs=0.02)


def test_accuracies_of_both_sides_have_wilson_intervals(weak, strong):
    row = only_row(pd.concat([weak, strong]))
    assert (row["first_accuracy_low"], row["first_accuracy_high"]) == wilson(60, 100, 0.95)
    assert (row["second_accuracy_low"], row["second_accuracy_high"]) == wilson(30, 100, 0.95)


def test_the_answer_loss_is_compared_beside_the_accuracy(weak, strong):
    row = only_row(pd.concat([weak, strong]))
    assert row["loss_difference_low"] <= row["loss_difference"] <= row["loss_difference_high"]
    assert row["loss_difference"] == pytest.approx(-0.3)


def test_test_accuracy_is_taken_at_the_step_chosen_on_validation(result, weak):
    run = result("late", {10: 20, 20: 80}, seed=0, validation={10: 90, 20: 10})
    row = only_row(pd.concat([weak, run]))
    assert row[["first_step", "first_accuracy"]].tolist() == ["10", 0.2]


def test_unequal_item_sets_are_refused(weak, strong):
    short = strong[strong["item"] != "test-7"]
    with pytest.raises(InputError, match="m t: item test-7 has no result in strong"):
        all_pairs(pd.concat([weak, short]))


def test_untrained_models_are_compared_without_a_seed(result):
    base = [result("0-shot", {0: 0}, shots=0), result("8-shot", {0: 70}, shots=8)]
    row = only_row(pd.concat(base))
    assert row["verdict"] == "better"
    assert pd.isna(row["seed"])


def test_a_run_on_another_task_is_compared_at_its_only_step(result, weak):
    row = only_row(pd.concat([weak, result("sft@gsm8k", {0: 99, 20: 60}, seed=0)]))
    assert row[["first", "first_step", "verdict"]].tolist() == ["sft@gsm8k", "20", "better"]


# --- groups -----------------------------------------------------------------------------


@pytest.fixture
def results(result, weak, strong) -> pd.DataFrame:
    base = [result(f"{k}-shot", {0: n}, shots=k) for k, n in ((0, 0), (8, 50))]
    return pd.concat([*base, weak, strong])


@pytest.mark.parametrize(
    ("design", "expected"),
    [
        ("pairs", ["8-shot 0-shot", "weak 0-shot", "weak 8-shot"]),
        ("first", ["8-shot 0-shot", "weak 0-shot"]),
        ("steps", ["8-shot 0-shot", "weak 8-shot", "weak 0-shot"]),
    ],
)
def test_the_pairs_are_those_of_the_design(results, design, expected):
    members = group("0-shot", "8-shot", "weak", design=design)
    table = compare(results, [members], SETTINGS)
    assert (table["first"] + " " + table["second"]).tolist() == expected
    assert list(table.columns) == COLUMNS


def test_the_steps_of_a_chain_add_up_to_the_whole(results):
    chain = group("0-shot", "8-shot", "weak", "strong", design="steps")
    *steps, whole = compare(results, [chain], SETTINGS)["difference"]
    assert len(steps) == 3
    assert sum(steps) == pytest.approx(whole)


def test_p_values_are_corrected_for_the_pairs_of_their_group(results):
    groups = [
        group("0-shot", "weak", "strong", name="three"),
        group("weak", "strong", name="two"),
    ]
    table = compare(results, groups, SETTINGS)
    smallest = table[table["group"] == "three"].sort_values("p").iloc[0]
    assert smallest["p_holm"] == pytest.approx(3 * smallest["p"])
    alone = table[table["group"] == "two"].iloc[0]
    assert alone["p_holm"] == alone["p"]


def test_a_result_in_no_group_changes_nothing(results):
    groups = [group("weak", "strong")]
    own = results[results["condition"].isin(["weak", "strong"])]
    pd.testing.assert_frame_equal(
        compare(results, groups, SETTINGS), compare(own, groups, SETTINGS)
    )


def test_a_group_of_untrained_models_has_no_seed_beside_one_that_has(results):
    groups = [group("weak", "strong"), group("0-shot", "8-shot", name="context")]
    table = compare(results, groups, SETTINGS).set_index("group")
    assert table.loc["main", "seed"] == "0"
    assert pd.isna(table.loc["context", "seed"])


def test_a_member_without_predictions_is_refused_by_name(weak):
    with pytest.raises(InputError, match=r"^comparisons\.main: no predictions of lost, gone: "):
        compare(weak, [group("weak", "lost", "gone")], SETTINGS)


def test_no_group_leaves_a_table_without_rows(weak):
    table = compare(weak, [], SETTINGS)
    assert (list(table.columns), len(table)) == (COLUMNS, 0)


# --- several seeds ------------------------------------------------------------------------


def seeds_of(result, count: int) -> pd.DataFrame:
    """Two untrained and two trained models, of which the seeds differ a little."""
    seeds = range(count)
    return pd.concat(
        [
            *(result(f"{k}-shot", {0: n}, shots=k) for k, n in ((0, 10), (8, 20))),
            *(result("weak", {10: 30 + seed, 20: 0}, seed=seed) for seed in seeds),
            *(result("strong", {10: 60, 20: 70 * (seed == 1)}, seed=seed) for seed in seeds),
        ]
    )


@pytest.fixture
def three_seeds(result) -> pd.DataFrame:
    return seeds_of(result, 3)


def pooled(table: pd.DataFrame) -> pd.DataFrame:
    """Rows over all seeds, by their pair."""
    rows = table[table["seed"] == "all"]
    return rows.set_index(rows["first"] + " " + rows["second"])


def test_each_seed_and_all_of_them_are_compared(three_seeds):
    table = all_pairs(three_seeds)
    assert table.groupby("seed").size().to_dict() == {"0": 6, "1": 6, "2": 6, "all": 6}


def test_the_difference_over_seeds_is_the_mean_of_theirs(three_seeds):
    table = all_pairs(three_seeds)
    differences = table[table["second"] == "weak"].set_index("seed")["difference"]
    assert differences["all"] == pytest.approx(differences[["0", "1", "2"]].mean())


def test_over_seeds_the_test_is_crossed_and_pools_the_seeds_of_the_group(three_seeds):
    row = pooled(all_pairs(three_seeds)).loc["strong weak"]
    # items in the order of their names
    place = np.array(sorted(range(100), key=str))
    counts = [[10, 20, 30 + seed, 70 if seed == 1 else 60] for seed in range(3)]
    values = (place[np.newaxis, :, np.newaxis] < np.array(counts)[:, np.newaxis]).astype(float)
    (expected,) = crossed_differences(values, [(3, 2)], 0.95)
    found = row[["difference", "difference_low", "difference_high", "p"]].tolist()
    assert found == pytest.approx([expected.estimate, *expected.interval, expected.p])
    assert row["detectable"] == pytest.approx(smallest_detectable(expected, 0.05 / 6, 0.8))


def test_two_untrained_models_are_compared_as_for_one_seed(three_seeds):
    table = all_pairs(three_seeds)
    rows = table[(table["first"] == "8-shot") & table["seed"].isin(["0", "all"])]
    measured = ["difference_low", "difference_high", "first_accuracy_low", "p", "discordant"]
    one, over_seeds = rows[measured].to_numpy(dtype=float)
    assert one == pytest.approx(over_seeds)


def test_steps_that_differ_between_seeds_are_all_named(three_seeds):
    row = pooled(all_pairs(three_seeds)).loc["strong weak"]
    assert row[["first_step", "second_step"]].tolist() == ["10/20/10", "10"]


def test_seeds_that_disagree_are_not_shown_to_differ(result):
    """One seed much better and one much worse: the items alone would show a difference."""
    runs = [result("steady", {10: 45}, seed=seed) for seed in range(3)]
    runs += [result("wild", {10: count}, seed=seed) for seed, count in enumerate((95, 0, 90))]
    table = all_pairs(pd.concat(runs))
    assert table.set_index("seed")["verdict"].to_dict() == {
        "0": "better",
        "1": "worse",
        "2": "better",
        "all": "not shown",
    }


def test_an_interval_over_seeds_ends_where_accuracy_does(result):
    runs = [result("none", {10: 0}, seed=seed) for seed in range(3)]
    runs += [result("wild", {10: count}, seed=seed) for seed, count in enumerate((95, 10, 90))]
    row = pooled(all_pairs(pd.concat(runs))).loc["wild none"]
    assert row["difference_high"] == 1.0


def test_a_condition_that_lacks_a_seed_is_refused(three_seeds):
    short = three_seeds[(three_seeds["condition"] != "strong") | (three_seeds["seed"] != 1)]
    with pytest.raises(InputError, match="no result in strong, seed 1"):
        all_pairs(short)


# --- what cannot be shown -----------------------------------------------------------------


def test_two_seeds_are_too_few_for_a_test(result):
    row = pooled(all_pairs(seeds_of(result, 2))).loc["strong weak"]
    assert row[["verdict", "note"]].tolist() == ["not shown", "too few seeds: 2 of 3"]
    assert row[["p", "p_holm", "detectable"]].isna().all()
    assert row["difference_low"] < row["difference"]


def test_pairs_without_a_test_do_not_spend_level(result):
    row = pooled(all_pairs(seeds_of(result, 2))).loc["8-shot 0-shot"]
    assert row["p_holm"] == row["p"]


def few_items(result, count: int) -> pd.DataFrame:
    """Three runs on this number of items: one with none right, one with all, one with half."""
    counts = {"none": 0, "all": 100, "half": count // 2}
    runs = pd.concat(result(name, {10: right}, seed=0) for name, right in counts.items())
    kept = [f"{split}-{item}" for split in ("validation", "test") for item in range(count)]
    return runs[runs["item"].isin(kept)]


def test_too_few_items_are_reported_instead_of_a_p_value(result):
    table = all_pairs(few_items(result, 6))
    assert set(table["note"]) == {"too few items: 6 can show nothing among 3 pairs"}
    assert table[["p", "p_holm", "detectable"]].isna().all(axis=None)
    assert set(table["verdict"]) == {"not shown"}


def test_one_more_item_could_show_something(result):
    table = all_pairs(few_items(result, 7))
    assert set(table["note"]) == {""}
    assert table["verdict"].tolist() == ["better", "not shown", "not shown"]


# --- graded scores ------------------------------------------------------------------------


def graded(predictions: pd.DataFrame) -> pd.DataFrame:
    """The same with half the score where an answer is right, and a trace of it where not."""
    return predictions.assign(strict=predictions["strict"] * 0.5 + 0.001)


def test_graded_scores_are_compared_by_the_paired_t_test(result):
    runs = graded(pd.concat(result(name, {10: n}, seed=0) for name, n in (("a", 30), ("b", 60))))
    (row,) = all_pairs(runs).to_dict("records")
    values = [runs.loc[runs["condition"] == name, "strict"].to_numpy()[100:] for name in "ba"]
    expected = paired_mean_difference(*values, 0.95)
    assert row["difference"] == pytest.approx(0.15)
    assert row["p"] == pytest.approx(expected.p)
    assert (row["discordant"], row["verdict"]) == (30, "better")


def test_few_items_can_show_something_where_scores_are_graded(result):
    table = all_pairs(graded(few_items(result, 4)))
    assert set(table["note"]) == {""}
    assert table[["p", "detectable"]].notna().all(axis=None)


def test_over_seeds_graded_scores_have_the_bootstrap_s_interval(three_seeds):
    row = pooled(all_pairs(graded(three_seeds))).loc["strong weak"]
    binary = pooled(all_pairs(three_seeds)).loc["strong weak"]
    assert row["first_accuracy"] == pytest.approx(binary["first_accuracy"] / 2 + 0.001)
    assert row["first_accuracy_low"] < row["first_accuracy"] < row["first_accuracy_high"]
    assert row["p"] == pytest.approx(binary["p"])


# --- simulations with known effects -------------------------------------------------------


@pytest.mark.parametrize(("seeds", "seed_spread"), [(1, 0.0), (3, 0.0), (3, 0.5), (3, 1.0)])
def test_a_group_in_which_nothing_differs_seldom_has_a_verdict(seeds, seed_spread):
    """1,000 groups of five conditions, all pairs: found in 24, 9, 17 and 23 of them."""
    generator = np.random.default_rng(0)
    groups, pairs = 1000, list(combinations(range(5), 2))
    shown = 0
    for _ in range(groups):
        odds = 2 * generator.normal(size=(100, 1)) + generator.normal(size=(100, 5))
        odds = odds + seed_spread * generator.normal(size=(seeds, 1, 5))
        right = generator.uniform(size=odds.shape) < 1 / (1 + np.exp(-odds))
        differences = (
            [paired_difference(right[0, :, one], right[0, :, two], 0.95) for one, two in pairs]
            if seeds == 1
            else crossed_differences(right.astype(float), pairs, 0.95)
        )
        decisions = decide(differences, items=100, settings=SETTINGS)
        shown += any(decision.verdict != "not shown" for decision in decisions)
    # the 99.9 % quantile of what 5 % would give
    assert shown <= binom.ppf(0.999, groups, 0.05)


# --- draws of demonstrations --------------------------------------------------------------


def of_draws(result, seeds: int, draws: int = 3) -> pd.DataFrame:
    """Eight shots in each draw, a student in each draw and seed, fine-tuning in each seed."""
    parts = [result("0-shot", {0: 10}, shots=0)]
    for draw in range(draws):
        parts.append(result("8-shot", {0: 60 + draw}, shots=8, draw=draw))
        for seed in range(seeds):
            correct = {0: 10, 20: 70 + draw + seed}
            parts.append(result("answers", correct, seed=seed, draw=draw, first=draw))
    parts += [result("sft", {0: 10, 20: 40 + seed}, seed=seed) for seed in range(seeds)]
    return pd.concat(parts, ignore_index=True)


def group_of(*members: str) -> ComparisonSlice:
    pairs = pairs_of(members, "pairs")
    return ComparisonSlice(name="g", members=members, design="pairs", pairs=pairs)


def test_each_seed_and_draw_is_compared_and_then_all_of_them(result):
    table = compare(of_draws(result, 3), [group_of("8-shot", "sft", "answers")], SETTINGS)
    keys = table[["seed", "draw"]].drop_duplicates().values.tolist()
    each = [[str(seed), str(draw)] for draw in range(3) for seed in range(3)]
    assert keys == [*each, ["all", "all"]]
    assert list(table.columns).index("draw") == list(table.columns).index("seed") + 1


def test_a_result_that_no_draw_reaches_is_compared_in_each(result):
    table = compare(of_draws(result, 3), [group_of("sft", "answers")], SETTINGS)
    own = table[(table["first"] == "answers") & (table["seed"] == "1")]
    assert own["second_accuracy"].tolist() == [0.41] * 3
    assert own["first_accuracy"].tolist() == [0.71, 0.72, 0.73]


def test_a_group_that_no_draw_reaches_has_none(result):
    drawn, without = of_draws(result, 3), [group_of("0-shot", "sft")]
    table = compare(drawn, without, SETTINGS)
    assert table["draw"].isna().all()
    undrawn = drawn[drawn["draw"].isna()]
    pd.testing.assert_frame_equal(table, compare(undrawn, without, SETTINGS))


def test_base_results_in_several_draws_are_tested_over_draws_and_items(result):
    table = compare(of_draws(result, 3), [group_of("0-shot", "8-shot")], SETTINGS)
    assert table["seed"].isna().all()
    assert table["draw"].tolist() == ["0", "1", "2", "all"]
    pooled = table.iloc[-1]
    assert pooled["difference"] == pytest.approx(0.51)
    assert (pooled["verdict"], pooled["first_step"]) == ("better", "0")


def test_a_difference_over_all_is_the_mean_over_seeds_and_draws(result):
    table = compare(of_draws(result, 3), [group_of("8-shot", "answers")], SETTINGS)
    each, pooled = table.iloc[:-1], table.iloc[-1]
    assert pooled["difference"] == pytest.approx(each["difference"].mean())
    assert pooled["discordant"] == each["discordant"].sum()
    assert pooled["note"] == ""


def test_two_draws_are_too_few_for_what_depends_on_them_and_no_other(result):
    members = group_of("0-shot", "sft", "answers")
    table = compare(of_draws(result, 3, draws=2), [members], SETTINGS)
    pooled = table[table["draw"] == "all"].set_index(["first", "second"])
    assert pooled["note"].to_dict() == {
        ("sft", "0-shot"): "",
        ("answers", "0-shot"): "too few draws: 2 of 3",
        ("answers", "sft"): "too few draws: 2 of 3",
    }


def test_one_seed_in_several_draws_is_compared_over_the_draws(result):
    table = compare(of_draws(result, 1), [group_of("sft", "answers")], SETTINGS)
    pooled = table.iloc[-1]
    assert (pooled["seed"], pooled["draw"], pooled["note"]) == ("0", "all", "")
    assert pooled["p"] < 0.05


def test_steps_of_all_are_those_of_each_draw_and_seed(result):
    runs = [
        result("sft", {0: 0, 10 + draw: 50, 20 + seed: 60}, seed=seed, draw=draw)
        for draw in (0, 1)
        for seed in (0, 1)
    ]
    base = result("0-shot", {0: 0}, shots=0)
    table = compare(pd.concat([base, *runs]), [group_of("0-shot", "sft")], SETTINGS)
    assert table.iloc[-1]["first_step"] == "20/21/20/21"


# --- margins ------------------------------------------------------------------------------


def in_margin(predictions, *members, margin, both_ways=False):
    asked = group(*members, design="first").model_copy(
        update={"margin": MarginAsked(margin=margin, both_ways=both_ways)}
    )
    return compare(predictions, [asked], SETTINGS).set_index("first")


def test_a_group_without_a_margin_has_none(weak, strong):
    assert only_row(pd.concat([weak, strong]))[MARGIN_COLUMNS].isna().all()


def test_a_small_loss_is_not_worse_and_a_large_one_is_not_shown_to_be(result):
    runs = [result("sft", {10: 60}, seed=0), result("near", {10: 59}, seed=0)]
    runs.append(result("far", {10: 30}, seed=0))
    table = in_margin(pd.concat(runs), "sft", "near", "far", margin=0.1)
    assert table["margin_verdict"].tolist() == ["not worse", "not shown"]
    assert table.loc["near", "verdict"] == "not shown"
    assert table["margin_asks"].unique().tolist() == ["not worse"]
    assert (table["margin_p_holm"] >= table["margin_p"]).all()


def test_what_is_better_is_not_worse_but_not_equivalent(weak, strong):
    predictions = pd.concat([weak, strong])
    one_way = in_margin(predictions, "weak", "strong", margin=0.05)
    both = in_margin(predictions, "weak", "strong", margin=0.05, both_ways=True)
    assert one_way.loc["strong", "margin_verdict"] == "not worse"
    assert both.loc["strong", "margin_verdict"] == "not shown"


def test_margins_are_corrected_apart_from_differences(weak, strong):
    predictions = pd.concat([weak, strong, strong.assign(condition="twin")])
    asked = in_margin(predictions, "weak", "strong", "twin", margin=0.05)
    plain = compare(predictions, [group("weak", "strong", "twin", design="first")], SETTINGS)
    assert asked["p_holm"].tolist() == plain["p_holm"].tolist()


# --- foreign results ----------------------------------------------------------------------


def foreign(result, name, correct, items, seed=None):
    """A foreign result on the first test items."""
    rows = result(name, {0: correct}, seed=seed).query("split == 'test'").head(items)
    return rows.assign(answer_loss=np.nan)


def test_a_group_is_compared_on_the_items_of_its_foreign_members(result, weak, strong):
    theirs = foreign(result, "theirs", 60, 40)
    every = pd.concat([weak, strong, theirs])
    groups = [group("weak", "strong", "theirs"), group("weak", "strong", name="own")]
    table = compare(every, groups, SETTINGS, ["theirs"])
    assert table.groupby("group")["items"].unique().map(list).to_dict() == {
        "main": [40],
        "own": [100],
    }
    alone = compare(pd.concat([weak, strong]), groups[1:], SETTINGS)
    own = table[table["group"] == "own"].reset_index(drop=True)
    pd.testing.assert_frame_equal(own, alone)


def test_a_missing_item_of_an_own_result_is_refused_beside_a_foreign_one(result, weak, strong):
    every = pd.concat([weak, strong[strong["item"] != "test-3"], foreign(result, "theirs", 9, 40)])
    with pytest.raises(InputError, match="item test-3 has no result in strong"):
        compare(every, [group("weak", "strong", "theirs")], SETTINGS, ["theirs"])


def test_foreign_results_without_a_common_item_are_refused(result):
    first = foreign(result, "a", 60, 40)
    second = foreign(result, "b", 60, 100).tail(40)
    with pytest.raises(InputError, match=r"comparisons\.main: a and b have no test item in common"):
        compare(pd.concat([first, second]), [group("a", "b")], SETTINGS, ["a", "b"])


def test_seeds_of_a_foreign_result_are_crossed_with_those_of_a_run(result):
    runs = [result("sft", {0: 0, 10: 40 + seed}, seed=seed) for seed in (0, 1, 2)]
    theirs = [foreign(result, "theirs", 70 + seed, 100, seed=seed) for seed in (0, 1, 2)]
    every = pd.concat([*runs, *theirs])
    table = compare(every, [group("sft", "theirs")], SETTINGS, ["theirs"])
    assert table["seed"].tolist() == ["0", "1", "2", "all"]
    pooled = table.iloc[-1]
    assert pooled["difference"] == pytest.approx(0.3)
    assert pooled["first_step"] == "0"
    assert np.isnan(pooled["loss_difference"])
