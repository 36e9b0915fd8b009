from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, t, ttest_1samp, ttest_rel
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep

from workflow_scripts.results.statistics import (
    Interval,
    basic_interval,
    bootstrap_by_replicate,
    bootstrap_means,
    bootstrap_over_replicates,
    crossed_difference,
    crossed_differences,
    exact_mcnemar,
    holm,
    least_discordant,
    mean_interval,
    newcombe_paired,
    paired_difference,
    paired_mean_difference,
    percentile_interval,
    score_difference,
    score_interval,
    score_interval_over_seeds,
    smallest_detectable,
    wilson,
    wilson_over_seeds,
)


def test_wilson_agrees_with_its_formula_worked_by_hand():
    z, n, p = 1.959964, 10, 0.8
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    assert wilson(8, 10, 0.95) == pytest.approx((centre - half, centre + half), abs=1e-6)


@pytest.mark.parametrize("successes", [0, 7, 100])
def test_wilson_contains_the_proportion_and_stays_between_0_and_1(successes):
    low, high = wilson(successes, 100, 0.95)
    assert 0 <= low <= successes / 100 <= high <= 1


def test_the_mean_interval_uses_students_t():
    # t(0.975, 3) = 3.1824, mean 2.5, standard error 0.6455
    assert mean_interval([1, 2, 3, 4], 0.95) == pytest.approx((0.4457, 4.5543), abs=1e-4)


def test_one_value_has_no_mean_interval():
    assert np.isnan(mean_interval([1.0], 0.95)).all()


def test_mcnemar_is_the_two_sided_binomial_test_on_discordant_items():
    first = np.array([True] * 12 + [False] * 3 + [True] * 50)
    second = np.array([False] * 12 + [True] * 3 + [True] * 50)
    assert exact_mcnemar(first, second) == pytest.approx(2 * binom.cdf(3, 15, 0.5))


def test_mcnemar_of_identical_results_shows_nothing():
    same = np.array([True, False, True])
    assert exact_mcnemar(same, same) == 1.0


def test_holm_multiplies_the_smallest_p_by_all_and_never_decreases():
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])


def test_holm_agrees_with_statsmodels():
    p = np.random.default_rng(0).uniform(0, 0.2, size=12)
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])


def test_holm_of_no_comparisons_is_empty():
    assert len(holm([])) == 0


def test_holm_does_not_count_what_was_not_tested():
    assert holm([0.02, math.nan, 0.03]) == pytest.approx([0.04, math.nan, 0.04], nan_ok=True)


def test_bootstrap_draws_vary_as_much_as_the_mean_does():
    values = np.random.default_rng(0).normal(size=400)
    draws = bootstrap_means(values.reshape(1, -1, 1), samples=4000, seed=0)
    assert draws.std() == pytest.approx(values.std() / 20, rel=0.05)


def test_bootstrap_draws_are_means_of_items_that_were_drawn():
    draws = bootstrap_means(np.array([0.0, 1.0, 2.0]).reshape(1, 3, 1), samples=500, seed=0)
    assert set(np.round(draws.ravel() * 3)) == set(range(7))


def test_bootstrap_over_seeds_sees_the_spread_between_seeds():
    """With items alike, all the variance comes from the seeds."""
    between = np.array([0.0, 1.0, 2.0, 3.0])
    values = np.repeat(between[:, None], 50, axis=1)[:, :, None]
    draws = bootstrap_means(values, samples=4000, seed=0)
    assert draws.std() == pytest.approx(between.std() / 2, rel=0.05)


def test_bootstrap_is_the_same_however_it_is_cut_into_chunks(monkeypatch):
    values = np.random.default_rng(0).uniform(size=(2, 30, 3))
    whole = bootstrap_means(values, samples=100, seed=0)
    shared = bootstrap_means(values[:, :, :1], samples=100, seed=0)
    np.testing.assert_allclose(whole[:, :1], shared)


def test_a_chunked_bootstrap_returns_every_sample(monkeypatch):
    monkeypatch.setattr("workflow_scripts.results.statistics._WEIGHTS_IN_MEMORY", 70)
    values = np.ones((1, 10, 2))
    np.testing.assert_allclose(bootstrap_means(values, samples=101, seed=0), np.ones((101, 2)))


def test_the_columns_of_a_draw_see_the_same_items():
    values = np.random.default_rng(0).uniform(size=50)
    draws = bootstrap_means(np.stack([values, values], axis=-1)[np.newaxis], samples=200, seed=0)
    np.testing.assert_array_equal(draws[:, 0], draws[:, 1])


def test_the_paired_bootstrap_interval_covers_the_true_difference_as_often_as_it_says():
    """300 simulated studies of 80 items at 90 % confidence: 0.90 ± 3 standard errors of 0.017."""
    generator = np.random.default_rng(0)
    covered = 0
    for study in range(300):
        difficulty = generator.uniform(size=80)
        first = difficulty + generator.normal(0.1, 0.3, size=80) < 0.5
        second = difficulty + generator.normal(0.1, 0.3, size=80) < 0.5
        columns = np.stack([first, second], axis=-1)[np.newaxis]
        draws = bootstrap_means(columns, samples=400, seed=study)
        low, high = percentile_interval(draws[:, 0] - draws[:, 1], 0.9)
        covered += low <= 0 <= high
    assert covered / 300 == pytest.approx(0.9, abs=0.052)


def test_wilson_over_seeds_that_always_agree_counts_items_once():
    correct = np.random.default_rng(0).uniform(size=200) < 0.6
    draws = bootstrap_means(np.stack([correct] * 3)[:, :, None], samples=8000, seed=0)[:, 0]
    expected = wilson(int(correct.sum()), 200, 0.95)
    found = wilson_over_seeds(draws, correct.mean(), seeds=3, items=200, confidence=0.95)
    assert found == pytest.approx(expected, abs=0.004)


def test_wilson_over_seeds_without_a_single_success_has_room_above_zero():
    found = wilson_over_seeds(np.zeros(100), 0.0, seeds=3, items=100, confidence=0.95)
    assert found == wilson(0, 100, 0.95)


@pytest.mark.parametrize(
    ("interval", "excludes"), [((0.1, 0.2), True), ((-0.2, -0.1), True), ((0.0, 0.1), False)]
)
def test_an_interval_that_touches_zero_does_not_exclude_it(interval, excludes):
    assert Interval(*interval).excludes_zero is excludes


def pairs(both: int, first: int, second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    """Two results on the same items, from how often which of them is right."""
    one = np.repeat([True, True, False, False], [both, first, second, neither])
    other = np.repeat([True, False, True, False], [both, first, second, neither])
    return one, other


def test_without_correlation_the_paired_interval_is_that_of_independent_samples():
    interval = newcombe_paired(*pairs(24, 16, 36, 24), 0.95)
    assert (interval.low, interval.high) == pytest.approx(
        confint_proportions_2indep(40, 100, 60, 100, method="newcomb", correction=False), abs=1e-9
    )


def test_the_paired_interval_turns_with_its_sides():
    one, other = pairs(30, 12, 3, 5)
    there, back = newcombe_paired(one, other, 0.95), newcombe_paired(other, one, 0.95)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))


def test_no_disagreement_among_few_items_decides_little():
    interval = newcombe_paired(*pairs(0, 0, 0, 16), 0.95)
    assert interval.low < -0.15
    assert interval.high > 0.15


def test_agreement_narrows_the_paired_interval():
    alike = newcombe_paired(*pairs(48, 12, 2, 38), 0.95)
    apart = newcombe_paired(*pairs(25, 35, 25, 15), 0.95)
    assert alike.high - alike.low < apart.high - apart.low


def test_the_paired_interval_covers_the_true_difference():
    generator = np.random.default_rng(0)
    truth, covered = 0.3 - 0.1, 0
    for _ in range(400):
        drawn = generator.choice(4, size=40, p=[0.2, 0.3, 0.1, 0.4])
        interval = newcombe_paired(drawn <= 1, (drawn == 0) | (drawn == 2), 0.95)
        covered += interval.low <= truth <= interval.high
    assert covered >= 0.93 * 400


# --- seeds and items as samples of more -------------------------------------------------------


def test_the_crossed_test_is_made_of_the_mean_squares_of_a_two_way_table():
    """Against statsmodels' analysis of variance, for one pair of which nothing else is known."""
    generator = np.random.default_rng(0)
    differences = generator.normal(size=(4, 1)) + generator.normal(size=6) + np.zeros((4, 6))
    differences += generator.normal(0.3, 0.5, size=(4, 6))
    table = pd.DataFrame(differences).rename_axis("seed").reset_index()
    table = table.melt("seed", var_name="item", value_name="d")
    anova = anova_lm(ols("d ~ C(seed) + C(item)", table).fit())["mean_sq"]
    variance = (anova["C(seed)"] + anova["C(item)"] - anova["Residual"]) / 24
    found = crossed_difference(differences, 0.95)
    half = t.ppf(0.975, 3) * math.sqrt(variance)
    assert (found.standard_error, found.df) == pytest.approx((math.sqrt(variance), 3))
    assert found.interval == pytest.approx((found.estimate - half, found.estimate + half))
    assert found.p == pytest.approx(2 * t.cdf(-abs(found.estimate) / math.sqrt(variance), 3))


def test_seeds_that_always_agree_count_items_once():
    once = np.random.default_rng(0).normal(0.2, 1, size=50)
    found = crossed_difference(np.stack([once] * 3), 0.95)
    assert found.estimate / found.standard_error == pytest.approx(ttest_1samp(once, 0).statistic)


def test_the_spread_of_seeds_is_pooled_over_the_group():
    """Seeds of a pair that happen to agree do not pass for steady beside others that do not."""
    steady = np.random.default_rng(0).normal(size=(3, 40, 2))
    wild = np.random.default_rng(1).normal([[[0]], [[3]], [[-3]]], size=(3, 40, 1))
    (alone,) = crossed_differences(steady, [(0, 1)], 0.95)
    (beside,) = crossed_differences(np.concatenate([steady, wild], axis=2), [(0, 1)], 0.95)
    assert (alone.df, beside.df) == (4, 6)
    assert beside.standard_error > 3 * alone.standard_error


def test_a_model_without_seeds_says_nothing_about_their_spread():
    trained, untrained = np.random.default_rng(0).normal(size=(2, 3, 40, 1))
    untrained = np.broadcast_to(untrained[:1], (3, 40, 1))
    (found,) = crossed_differences(np.concatenate([trained, untrained], axis=2), [(0, 1)], 0.95)
    alone = crossed_difference((trained - untrained)[:, :, 0], 0.95)
    assert found.df == 2
    assert found.standard_error == pytest.approx(alone.standard_error)


def test_two_seeds_have_an_interval_and_no_p_value():
    found = crossed_difference(np.random.default_rng(0).normal(size=(2, 40)), 0.95)
    assert found.interval.low < found.estimate < found.interval.high
    assert math.isnan(found.p)
    assert found.note == "too few seeds: 2 of 3"


def test_one_item_has_no_crossed_interval():
    found = crossed_difference(np.ones((3, 1)), 0.95)
    assert np.isnan([*found.interval, found.p]).all()
    assert found.note == "too few items: 1 of 2"


@pytest.mark.parametrize(("value", "p"), [(0.0, 1.0), (1.0, 0.0)])
def test_differences_without_any_spread_are_either_none_or_certain(value, p):
    found = crossed_difference(np.full((3, 20), value), 0.95)
    assert (found.p, found.interval) == (p, (value, value))


def test_means_over_items_are_compared_by_the_paired_t_test():
    first, second = np.random.default_rng(0).normal([[0.2], [0.0]], 1, size=(2, 40))
    expected = ttest_rel(first, second)
    found = paired_mean_difference(first, second, 0.9)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.interval == pytest.approx(tuple(expected.confidence_interval(0.9)))


GRADED = np.random.default_rng(0).uniform(size=(2, 40))
BINARY = (GRADED > 0.5).astype(float)


def test_scores_of_zeros_and_ones_are_compared_as_accuracies():
    first, second = BINARY.astype(bool)
    assert score_difference(*BINARY, 0.95) == paired_difference(first, second, 0.95)


def test_graded_scores_are_compared_as_means():
    assert score_difference(*GRADED, 0.95) == paired_mean_difference(*GRADED, 0.95)
    one_sided = score_difference(GRADED[0], BINARY[1], 0.95)
    assert one_sided == paired_mean_difference(GRADED[0], BINARY[1], 0.95)


def test_the_interval_of_scores_is_wilson_s_of_zeros_and_ones_alone():
    assert score_interval(BINARY[0], 0.9) == wilson(int(BINARY[0].sum()), 40, 0.9)
    assert score_interval(GRADED[0], 0.9) == mean_interval(GRADED[0], 0.9)


def test_over_seeds_graded_scores_have_the_middle_of_the_draws():
    draws = bootstrap_means(GRADED[:, :, None], 500, 0)[:, 0]
    assert score_interval_over_seeds(GRADED, draws, 0.9) == percentile_interval(draws, 0.9)
    draws = bootstrap_means(BINARY[:, :, None], 500, 0)[:, 0]
    expected = wilson_over_seeds(draws, float(BINARY.mean()), 2, 40, 0.9)
    assert score_interval_over_seeds(BINARY, draws, 0.9) == expected


# --- what a test can show ---------------------------------------------------------------------


@pytest.mark.parametrize("level", [0.05, 0.05 / 6, 0.05 / 21, 0.03125])
def test_so_many_one_sided_disagreements_can_be_shown_and_one_less_cannot(level):
    least = least_discordant(level)
    right, wrong = np.full(least, True), np.full(least, False)
    assert exact_mcnemar(right, wrong) < level
    assert exact_mcnemar(right[1:], wrong[1:]) >= level


def test_where_nothing_disagrees_a_small_difference_is_still_undetectable():
    same = np.full(100, True)
    detectable = smallest_detectable(paired_difference(same, same, 0.95), 0.05, 0.8)
    # with 6 of 100 needed, all one way
    assert binom.sf(5, 100, detectable) == pytest.approx(0.8)


def test_of_graded_scores_no_number_of_disagreements_is_needed():
    scores = np.stack([GRADED[0], 0.999 * GRADED[0]])
    seeds = np.repeat(scores.T[None], 3, axis=0)
    one = paired_mean_difference(*scores, 0.95)
    (over_seeds,) = crossed_differences(seeds, [(0, 1)], 0.95)
    for difference in (one, over_seeds):
        assert 0 < smallest_detectable(difference, 0.05, 0.8) < 0.001


def test_more_comparisons_detect_less():
    difference = paired_difference(*pairs(40, 20, 20, 20), 0.95)
    one, six = (smallest_detectable(difference, 0.05 / count, 0.8) for count in (1, 6))
    assert one < six


# --- simulations with known effects -----------------------------------------------------------
# found in 1,000 studies each; more than the 99.9 % quantile of what 5 % would give is a fault

NULLS = 1000
MOST_FOUND = int(binom.ppf(0.999, NULLS, 0.05))


def answers(
    generator: np.random.Generator, seeds: int, seed_spread: float, effect: float = 0.0
) -> np.ndarray:
    """(seeds, items, 2): what two conditions answer rightly, the first of them with an effect.

    Log-odds: items are of unequal difficulty, for each condition differently; seeds differ.
    """
    items = 120
    odds = 2 * generator.normal(size=(1, items, 1)) + generator.normal(size=(1, items, 2))
    odds = odds + seed_spread * generator.normal(size=(seeds, 1, 2)) + [effect, 0.0]
    return generator.uniform(size=(seeds, items, 2)) < 1 / (1 + np.exp(-odds))


@pytest.mark.parametrize(("seeds", "seed_spread"), [(3, 0.0), (3, 0.5), (3, 1.0), (5, 1.0)])
def test_over_seeds_equal_conditions_are_seldom_found_to_differ(seeds, seed_spread):
    """Found 13, 25, 32 and 33 times."""
    generator = np.random.default_rng(0)
    studies = (answers(generator, seeds, seed_spread).astype(float) for _ in range(NULLS))
    found = sum(crossed_differences(study, [(0, 1)], 0.95)[0].p < 0.05 for study in studies)
    assert found <= MOST_FOUND


def test_equal_models_are_seldom_found_to_differ():
    """Found 30 times: the exact test is cautious, because few outcomes are near its level."""
    generator = np.random.default_rng(0)
    found = 0
    for _ in range(NULLS):
        first, second = answers(generator, 1, 0.0)[0].T
        difference = paired_difference(first, second, 0.95)
        found += difference.p < 0.05 and difference.interval.excludes_zero
    assert found <= MOST_FOUND


@pytest.mark.parametrize(
    ("seeds", "seed_spread", "effect"), [(1, 0.0, 1.05), (3, 0.0, 0.97), (5, 0.3, 0.95)]
)
def test_what_is_just_detectable_is_found_about_as_often_as_promised(seeds, seed_spread, effect):
    """Found in 71, 77 and 79 % of 500 studies, of 80 % promised."""
    generator = np.random.default_rng(0)
    studies = []
    for _ in range(500):
        study = answers(generator, seeds, seed_spread, effect)
        studies.append(
            paired_difference(*study[0].T, 0.95)
            if seeds == 1
            else crossed_differences(study.astype(float), [(0, 1)], 0.95)[0]
        )
    promised = np.mean([smallest_detectable(study, 0.05, 0.8) for study in studies])
    assert np.mean([study.estimate for study in studies]) == pytest.approx(promised, abs=0.01)
    assert np.mean([study.p < 0.05 for study in studies]) == pytest.approx(0.8, abs=0.1)


# --- draws of demonstrations ------------------------------------------------------------------


def test_one_draw_says_what_none_says():
    values = np.random.default_rng(0).normal(size=(3, 40, 4))
    pairs = [(0, 1), (1, 3), (2, 0)]
    assert crossed_differences(values[None], pairs, 0.95) == crossed_differences(
        values, pairs, 0.95
    )
    np.testing.assert_array_equal(
        bootstrap_means(values[None], 200, 0), bootstrap_means(values, 200, 0)
    )


def test_over_draws_the_test_is_made_of_the_mean_squares_of_a_three_way_table():
    """Against statsmodels' analysis of variance, for one pair whose components are all positive."""
    generator = np.random.default_rng(0)
    effects = [generator.normal(size=shape) for shape in ((4, 1, 1), (1, 5, 1), (1, 1, 6))]
    differences = sum(effects) + generator.normal(0.3, 0.5, size=(4, 5, 6))
    index = pd.MultiIndex.from_product(map(range, differences.shape), names=["d", "s", "i"])
    table = pd.DataFrame({"y": differences.ravel()}, index=index).reset_index()
    formula = "y ~ C(d) + C(s) + C(i) + C(d):C(s) + C(d):C(i) + C(s):C(i)"
    squares = anova_lm(ols(formula, table).fit())["mean_sq"]
    signs = {"C(d)": 1, "C(s)": 1, "C(i)": 1, "C(d):C(s)": -1, "C(d):C(i)": -1, "C(s):C(i)": -1}
    variance = sum(sign * squares[name] for name, sign in signs.items()) + squares["Residual"]
    found = crossed_difference(differences, 0.95)
    assert found.standard_error == pytest.approx(math.sqrt(variance / differences.size))
    assert found.df == 3
    assert found.observations == 120


def test_draws_alone_are_tested_over_draws_and_items():
    """Eight shots against none: the same in every seed."""
    over_draws = np.random.default_rng(0).normal(size=(3, 1, 40))
    found = crossed_difference(np.repeat(over_draws, 5, axis=1), 0.95)
    assert found == crossed_difference(over_draws[:, 0], 0.95)._replace(note=found.note)
    assert (found.df, found.observations) == (2, 120)


def test_what_no_draw_reaches_is_tested_over_seeds_beside_what_draws_reach():
    generator = np.random.default_rng(0)
    gold = np.repeat(generator.normal(size=(1, 3, 40, 2)), 3, axis=0)
    drawn = gold.mean() + 0.01 * generator.normal(size=(3, 3, 40, 1))
    (found,) = crossed_differences(np.concatenate([gold, drawn], axis=3), [(0, 1)], 0.95)
    (alone,) = crossed_differences(gold[0], [(0, 1)], 0.95)
    assert found.estimate == pytest.approx(alone.estimate)
    assert found.observations == alone.observations == 120
    # the drawn member is trained too: its seeds are pooled with theirs
    assert (alone.df, found.df) == (4, 6)


@pytest.mark.parametrize(
    ("draws", "seeds", "note"),
    [
        (2, 3, "too few draws: 2 of 3"),
        (3, 2, "too few seeds: 2 of 3"),
        (2, 1, "too few draws: 2 of 3"),
    ],
)
def test_too_few_draws_or_seeds_have_an_interval_and_no_p_value(draws, seeds, note):
    found = crossed_difference(np.random.default_rng(0).normal(size=(draws, seeds, 40)), 0.95)
    assert found.interval.low < found.estimate < found.interval.high
    assert math.isnan(found.p)
    assert found.note == note


def test_bootstrap_over_draws_sees_the_spread_between_draws():
    """With items and seeds alike, all the variance comes from the draws."""
    between = np.array([0.0, 1.0, 2.0, 3.0])
    values = np.broadcast_to(between[:, None, None, None], (4, 3, 50, 1))
    means = bootstrap_means(values, samples=4000, seed=0)
    assert means.std() == pytest.approx(between.std() / 2, rel=0.05)


def test_draws_that_always_agree_add_no_width():
    values = np.random.default_rng(0).uniform(size=(1, 3, 50, 1))
    one, three = (bootstrap_means(np.repeat(values, n, axis=0), 4000, 0).std() for n in (1, 3))
    assert three == pytest.approx(one, rel=0.05)


@pytest.mark.parametrize("seeds", [1, 3])
def test_lucky_draws_are_not_mistaken_for_a_better_condition(seeds):
    """Equal conditions whose accuracy differs between draws; found 41 and 32 times."""
    generator = np.random.default_rng(0)
    items, found = 120, 0
    for _ in range(NULLS):
        odds = 2 * generator.normal(size=(1, 1, items, 1)) + generator.normal(size=(3, 1, 1, 2))
        odds = odds + generator.normal(size=(3, seeds, items, 2))
        right = generator.uniform(size=odds.shape) < 1 / (1 + np.exp(-odds))
        (difference,) = crossed_differences(right.astype(float), [(0, 1)], 0.95)
        found += difference.p < 0.05
    assert 0 < found <= MOST_FOUND


def test_a_basic_interval_is_that_of_the_percentiles_on_the_other_side_of_the_estimate():
    """Samples that lie above the estimate say that the estimate lies above the truth."""
    samples = np.linspace(1.0, 3.0, 1001)
    low, high = percentile_interval(samples, 0.9)
    assert basic_interval(1.5, samples, 0.9) == pytest.approx((3.0 - high, 3.0 - low))


def test_replicates_that_are_resampled_apart_have_the_same_items_and_their_mean():
    generator = np.random.default_rng(0)
    values = generator.random((2, 3, 40, 2))
    apart = bootstrap_by_replicate(values, 500, seed=1)
    assert apart.shape == (500, 2, 3, 2)
    # one replicate, alone or beside others, is resampled in the same way
    alone = bootstrap_means(values[1, 2][None], 500, seed=1)
    assert apart[:, 1, 2] == pytest.approx(alone)
    together = bootstrap_over_replicates(apart, seed=1)
    assert together.mean(axis=0) == pytest.approx(values.mean(axis=(0, 1, 2)), abs=0.01)
    assert (together.std(axis=0) > apart.mean(axis=(1, 2)).std(axis=0)).all()
