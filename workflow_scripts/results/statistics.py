"""Intervals and tests for accuracies and losses measured on the same items.

What scipy and statsmodels have is taken from there; the bootstrap is written out because it
resamples two crossed dimensions (items and seeds) for many columns at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, stdtr, stdtrit
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import DescrStatsW

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# seeds that a test over seeds needs: two show that seeds differ, but not how much they spread
LEAST_SEEDS = 3

# resampling weights held at a time: 16 MB
_WEIGHTS_IN_MEMORY = 2_000_000


class Interval(NamedTuple):
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


class Difference(NamedTuple):
    """A mean difference of paired observations, and its test.

    p: NaN where nothing was tested, for the reason in `note`.
    df: of the t distribution that the standard error goes with; infinite for the normal one.
    observations: paired ones, over seeds and items.
    binary: whether both sides are zeros and ones, so that what differs can be counted.
    """

    estimate: float
    interval: Interval
    p: float
    df: float
    standard_error: float
    observations: int
    note: str = ""
    binary: bool = False


# --- scores: accuracies, or means of graded ones ------------------------------------------


def is_binary(scores: NDArray[np.generic]) -> bool:
    """Whether every score is 0 or 1; of any shape."""
    return bool(((scores == 0) | (scores == 1)).all())


def score_interval(scores: Floats, confidence: float) -> Interval:
    """Interval of a mean score: Wilson's of zeros and ones, else Student's t within [0, 1].

    scores: (items,), each in [0, 1].
    """
    if is_binary(scores):
        return wilson(int(scores.sum()), len(scores), confidence)
    low, high = mean_interval(scores, confidence)
    return Interval(float(np.maximum(low, 0)), float(np.minimum(high, 1)))


def score_interval_over_seeds(scores: Floats, draws: Floats, confidence: float) -> Interval:
    """The same of a mean over seeds: `wilson_over_seeds`, else the middle of the draws.

    scores: (seeds, items), each in [0, 1]. draws: (samples,) bootstrap draws of their mean.
    """
    if is_binary(scores):
        seeds, items = scores.shape
        return wilson_over_seeds(draws, float(scores.mean()), seeds, items, confidence)
    return percentile_interval(draws, confidence)


def score_difference(first: Floats, second: Floats, confidence: float) -> Difference:
    """`paired_difference` of zeros and ones, else `paired_mean_difference`.

    first, second: (items,), each in [0, 1], in the same order of items.
    """
    if is_binary(first) and is_binary(second):
        return paired_difference(first.astype(bool), second.astype(bool), confidence)
    return paired_mean_difference(first, second, confidence)


# --- proportions and means ----------------------------------------------------------------


def wilson(successes: float, trials: float, confidence: float) -> Interval:
    """Wilson's score interval of a proportion (Wilson 1927)."""
    low, high = proportion_confint(successes, trials, alpha=1 - confidence, method="wilson")
    # at 0 and 1 rounding leaves the proportion itself just outside
    proportion = successes / trials
    return Interval(min(float(low), proportion), max(float(high), proportion))


def newcombe_paired(first: Bools, second: Bools, confidence: float) -> Interval:
    """Interval of the difference of two proportions on the same items (Newcombe 1998, method 10).

    Wilson's intervals of both, squared and added with the correlation of the two. Unlike a
    bootstrap it also holds where few items disagree: none in sixteen shows no difference of zero.

    first, second: (items,), in the same order of items.
    """
    items = len(first)
    p, q = float(np.mean(first)), float(np.mean(second))
    one, other = (wilson(int(np.sum(side)), items, confidence) for side in (first, second))
    phi = _corrected_correlation(first, second)
    low = _hypotenuse(p - one.low, other.high - q, phi)
    high = _hypotenuse(one.high - p, q - other.low, phi)
    return Interval(p - q - low, p - q + high)


def _hypotenuse(one: float, other: float, phi: float) -> float:
    return float(np.sqrt(one**2 - 2 * phi * one * other + other**2))


def _corrected_correlation(first: Bools, second: Bools) -> float:
    """Φ of two results, its covariance corrected for continuity where it is positive."""
    items = len(first)
    both, neither = int(np.sum(first & second)), int(np.sum(~first & ~second))
    only_first, only_second = int(np.sum(first & ~second)), int(np.sum(~first & second))
    covariance = float(both * neither - only_first * only_second)
    if covariance > 0:
        covariance = max(covariance - items / 2, 0.0)
    margins = (both + only_first) * (only_second + neither)
    margins *= (both + only_second) * (only_first + neither)
    return covariance / float(np.sqrt(margins)) if margins else 0.0


def wilson_over_seeds(
    draws: Floats, mean: float, seeds: int, items: int, confidence: float
) -> Interval:
    """Wilson's interval of an accuracy over several seeds, for an effective number of trials.

    Results of several seeds on one item are not independent. They count as
    `mean (1 - mean) / variance of the draws` independent trials (Korn and Graubard 1998), at most
    `seeds * items`; where the draws do not vary, as the number of items.

    draws: (samples,) bootstrap draws of the accuracy.
    """
    variance = float(np.var(draws))
    effective = min(mean * (1 - mean) / variance, seeds * items) if variance > 0 else items
    return wilson(mean * effective, effective, confidence)


def mean_interval(values: Sequence[float] | Floats, confidence: float) -> Interval:
    """Student's t interval of the mean of independent values; NaN for a single value."""
    if len(values) < 2:
        return Interval(float("nan"), float("nan"))
    low, high = DescrStatsW(np.asarray(values, dtype=float)).tconfint_mean(1 - confidence)
    return Interval(float(low), float(high))


def bootstrap_means(values: NDArray[np.generic], samples: int, seed: int) -> Floats:
    """Bootstrap draws of the mean of each column, over items and over seeds.

    Items and seeds are resampled with replacement, independently of each other: the pigeonhole
    bootstrap (Owen 2007) for crossed data, which with one seed is the ordinary bootstrap over
    items. Every column of a draw sees the same items and seeds, so the difference of two
    columns is a paired bootstrap. Draws of a column do not depend on the other columns.
    With few seeds their variance is underestimated, by a factor of 2/3 for three.

    values: (seeds, items, columns).
    Returns (samples, columns).
    """
    cube = np.asarray(values, dtype=float)
    seeds, items, _ = cube.shape
    means = [
        np.einsum("bs,bsc->bc", seed_counts, np.tensordot(item_counts, cube, axes=(1, 1)))
        for item_counts, seed_counts in _resamplings(items, seeds, samples, seed)
    ]
    draws: Floats = np.concatenate(means) / (seeds * items)
    return draws


def _resamplings(
    items: int, seeds: int, samples: int, seed: int
) -> Iterator[tuple[Floats, Floats]]:
    """Chunks of (samples, items) and (samples, seeds): how often each was drawn."""
    generator = np.random.default_rng(seed)
    chunk = max(1, _WEIGHTS_IN_MEMORY // items)
    for start in range(0, samples, chunk):
        size = min(chunk, samples - start)
        yield _counts(generator, size, items), _counts(generator, size, seeds)


def _counts(generator: np.random.Generator, samples: int, choices: int) -> Floats:
    """How often each of `choices` is drawn, in `choices` draws: (samples, choices)."""
    drawn = generator.integers(choices, size=(samples, choices))
    cells = drawn + choices * np.arange(samples)[:, None]
    counts = np.bincount(cells.ravel(), minlength=samples * choices)
    return counts.reshape(samples, choices).astype(float)


def percentile_interval(draws: Floats, confidence: float) -> Interval:
    """The middle `confidence` of bootstrap draws (Efron 1979)."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return Interval(float(low), float(high))


# --- tests of a difference ----------------------------------------------------------------


def paired_difference(first: Bools, second: Bools, confidence: float) -> Difference:
    """Difference of the accuracies of two models on the same items.

    p of the exact McNemar test, Newcombe's interval, and the standard error of the mean over
    items. It is about these two models: what another seed would have trained is unknown to it.

    first, second: (items,), in the same order of items.
    """
    differences = first.astype(float) - second
    return Difference(
        estimate=float(differences.mean()),
        interval=newcombe_paired(first, second, confidence),
        p=exact_mcnemar(first, second),
        df=math.inf,
        standard_error=float(differences.std()) / math.sqrt(len(differences)),
        observations=len(differences),
        binary=True,
    )


def paired_mean_difference(first: Floats, second: Floats, confidence: float) -> Difference:
    """Difference of the means of two models on the same items, by Student's paired t test.

    first, second: (items,), in the same order of items. NaN for a single item.
    """
    differences = first - second
    items = len(differences)
    if items < 2:
        return _untested(float(differences.mean()), items, f"too few items: {items} of 2")
    error = float(differences.std(ddof=1)) / math.sqrt(items)
    return _tested(float(differences.mean()), error, items - 1, items, confidence)


def exact_mcnemar(first: Bools, second: Bools) -> float:
    """p of the exact McNemar test of two results on the same items (McNemar 1947, binomial form).

    first, second: (items,), in the same order of items.
    """
    only_first = int(np.count_nonzero(first & ~second))
    only_second = int(np.count_nonzero(second & ~first))
    if only_first + only_second == 0:
        return 1.0
    return float(mcnemar([[0, only_first], [only_second, 0]], exact=True).pvalue)


def crossed_difference(differences: Floats, confidence: float) -> Difference:
    """`crossed_differences` of a single pair: few degrees of freedom.

    differences: (seeds, items).
    """
    pair = np.stack([differences, np.zeros_like(differences)], axis=2)
    return crossed_differences(pair, [(0, 1)], confidence)[0]


def crossed_differences(
    values: Floats, pairs: Sequence[tuple[int, int]], confidence: float
) -> list[Difference]:
    """Mean differences over seeds and items, both a sample of more: t tests of crossed effects.

    The variance of a mean over a two-way table without replication is
    `(MS_seeds + MS_items - MS_rest) / (seeds * items)` (Cornfield and Tukey 1956; Clark's
    quasi-F, 1973), with no component below 0. A few seeds say little about how much seeds vary,
    so what they say of all members is pooled, as in any analysis of variance: MS_seeds is the sum
    of the members' mean one for both sides, or the pair's own where that is larger. The degrees
    of freedom are those of the pooled one, `(seeds - 1) * members`, which is cautious where items
    vary more. Members that are the same in every seed were not trained and have no part in it.

    `benchmarks/verdict_rates.py` simulates how often it finds something where there is nothing.
    The pair's own MS_seeds with Satterthwaite's degrees of freedom finds it too often in groups
    and few seeds. Fewer than `LEAST_SEEDS` have an interval and no p.

    values: (seeds, items, members).
    pairs: places of (first, second) of each difference, first minus second. NaN where fewer than
    two seeds or items leave no variance to estimate.
    """
    pooled, df = _pooled_seeds(values)
    return [
        _crossed(
            values[:, :, first] - values[:, :, second],
            float(pooled[first] + pooled[second]),
            df,
            confidence,
        )._replace(binary=is_binary(values[:, :, [first, second]]))
        for first, second in pairs
    ]


def _pooled_seeds(values: Floats) -> tuple[Floats, int]:
    """What each member adds to the mean square of seeds, (members,), and its degrees of freedom."""
    seeds, items, _ = values.shape
    varies = (values != values[:1]).any(axis=(0, 1))
    df = (seeds - 1) * max(int(varies.sum()), 1)
    centred = (values.mean(axis=1) - values.mean(axis=(0, 1)))[:, varies]
    return varies * items * float(np.sum(centred**2)) / max(df, 1), df


def _crossed(differences: Floats, pooled: float, df: int, confidence: float) -> Difference:
    """One of the `crossed_differences`.

    differences: (seeds, items).
    pooled: mean square of seeds for such a difference, with `df` degrees of freedom.
    """
    seeds, items = differences.shape
    mean = float(differences.mean())
    note = f"too few seeds: {seeds} of {LEAST_SEEDS}" if seeds < LEAST_SEEDS else ""
    if min(seeds, items) < 2:
        return _untested(mean, seeds * items, note or f"too few items: {items} of 2")
    of_seeds, of_items = differences.mean(axis=1), differences.mean(axis=0)
    rest = differences - of_seeds[:, None] - of_items + mean
    by_rest = float(np.sum(rest**2)) / ((seeds - 1) * (items - 1))
    by_seed = max(items * float(of_seeds.var(ddof=1)), pooled)
    by_item = seeds * float(of_items.var(ddof=1))
    square = max(by_seed + max(by_item - by_rest, 0.0), by_rest)
    error = math.sqrt(square / (seeds * items))
    tested = _tested(mean, error, df, seeds * items, confidence)
    return tested._replace(p=math.nan, note=note) if note else tested


def _tested(
    mean: float, error: float, df: float, observations: int, confidence: float
) -> Difference:
    """The t interval and test of a mean with this standard error."""
    half = float(stdtrit(df, (1 + confidence) / 2)) * error
    # without any spread, equal is equal and everything else is not
    p = 2 * float(stdtr(df, -abs(mean) / error)) if error > 0 else float(mean == 0)
    return Difference(mean, Interval(mean - half, mean + half), p, df, error, observations)


def _untested(mean: float, observations: int, note: str) -> Difference:
    nothing = Interval(math.nan, math.nan)
    return Difference(mean, nothing, math.nan, math.nan, math.nan, observations, note)


def holm(p_values: Sequence[float] | Floats) -> Floats:
    """p-values corrected for their number (Holm 1979), in the order given.

    What was not tested (NaN) stays so and is not counted: it can never be a false finding.
    """
    # not statsmodels' multipletests, which collects garbage at every call: a tenth of a second
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p)[: np.count_nonzero(~np.isnan(p))]
    corrected = np.full_like(p, math.nan)
    steps = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * steps), 1)
    return corrected


# --- what a test can show -----------------------------------------------------------------


def least_discordant(level: float) -> int:
    """Fewest items that must all disagree one way for an exact McNemar p below `level`."""
    return math.floor(math.log2(2 / level)) + 1


def smallest_detectable(difference: Difference, level: float, power: float) -> float:
    """The smallest true difference that would be found at `level` with probability `power`.

    The usual approximation, `(t(1 - level / 2) + t(power)) * standard error`, with the spread
    that was observed. Where hardly anything disagreed that promises too much: a difference of
    zeros and ones is never smaller than one by which `least_discordant` observations disagree,
    all of them one way, with that probability. Of differences that are just detectable,
    simulations found 71 to 79 % where 80 % were promised. NaN where there is no standard error.
    """
    quantiles = stdtrit(difference.df, 1 - level / 2) + stdtrit(difference.df, power)
    if not difference.binary:
        return float(quantiles * difference.standard_error)
    least = least_discordant(level)
    # P(Binomial(n, x) >= k) = power at x, by the beta distribution
    floor = betaincinv(least, difference.observations - least + 1, power)
    return float(np.maximum(quantiles * difference.standard_error, floor))
