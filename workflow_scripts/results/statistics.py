"""Intervals and tests for accuracies and losses measured on the same items.

What scipy and statsmodels have is taken from there; the bootstrap is written out because it
resamples crossed dimensions (items, seeds, draws of demonstrations) for many columns at once.
Values are in cubes (draws, seeds, items, columns); where there is one draw, (seeds, items, columns)
says the same.

statsmodels is imported where it is used: it takes half a second, and figures need none of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, stdtr, stdtrit

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# seeds that a test over seeds needs, and draws that one over draws needs: two show that they
# differ, but not how much they spread
LEAST_LEVELS = 3

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
    observations: paired ones, over draws, seeds and items.
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


def score_interval_over_seeds(scores: Floats, means: Floats, confidence: float) -> Interval:
    """The same of a mean over seeds, and over draws: `wilson_over_seeds`, else the middle of means.

    scores: (seeds, items) or (draws, seeds, items), each in [0, 1].
    means: (samples,) bootstrap means of them.
    """
    if is_binary(scores):
        items = scores.shape[-1]
        replicates = scores.size // items
        return wilson_over_seeds(means, float(scores.mean()), replicates, items, confidence)
    return percentile_interval(means, confidence)


def score_difference(first: Floats, second: Floats, confidence: float) -> Difference:
    """`paired_difference` of zeros and ones, else `paired_mean_difference`.

    first, second: (items,), each in [0, 1], in the same order of items.
    """
    if is_binary(first) and is_binary(second):
        return paired_difference(first.astype(bool), second.astype(bool), confidence)
    return paired_mean_difference(first, second, confidence)


def replicated_difference(first: Floats, second: Floats, confidence: float) -> Difference:
    """`score_difference`, or where there are several draws or seeds, `crossed_difference`.

    first, second: (draws, seeds, items), each in [0, 1], in the same order of items.
    """
    if len(first.reshape(-1, first.shape[-1])) == 1:
        return score_difference(first.ravel(), second.ravel(), confidence)
    return crossed_difference(first - second, confidence)


# --- proportions and means ----------------------------------------------------------------


def wilson(successes: float, trials: float, confidence: float) -> Interval:
    """Wilson's score interval of a proportion (Wilson 1927)."""
    from statsmodels.stats.proportion import proportion_confint

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
    means: Floats, mean: float, seeds: int, items: int, confidence: float
) -> Interval:
    """Wilson's interval of an accuracy over several seeds, for an effective number of trials.

    Results of several seeds on one item are not independent. They count as
    `mean (1 - mean) / variance of the means` independent trials (Korn and Graubard 1998), at most
    `seeds * items`; where the means do not vary, as the number of items.

    means: (samples,) bootstrap means of the accuracy.
    seeds: of each draw of demonstrations, together.
    """
    variance = float(np.var(means))
    effective = min(mean * (1 - mean) / variance, seeds * items) if variance > 0 else items
    return wilson(mean * effective, effective, confidence)


def mean_interval(values: Sequence[float] | Floats, confidence: float) -> Interval:
    """Student's t interval of the mean of independent values; NaN for a single value."""
    if len(values) < 2:
        return Interval(float("nan"), float("nan"))
    from statsmodels.stats.weightstats import DescrStatsW

    low, high = DescrStatsW(np.asarray(values, dtype=float)).tconfint_mean(1 - confidence)
    return Interval(float(low), float(high))


def bootstrap_means(values: NDArray[np.generic], samples: int, seed: int) -> Floats:
    """Bootstrap samples of the mean of each column, over items, seeds and draws of demonstrations.

    Items, seeds and draws are resampled with replacement, independently of each other: the
    pigeonhole bootstrap (Owen 2007) for crossed data, which with one seed and draw is the ordinary
    bootstrap over items. Every column of a sample sees the same items, seeds and draws, so the
    difference of two columns is a paired bootstrap. A column does not depend on the others.
    With few seeds or draws their variance is underestimated, by a factor of 2/3 for three.

    values: (draws, seeds, items, columns), or (seeds, items, columns) of one draw.
    Returns (samples, columns).
    """
    cube = np.asarray(values, dtype=float)
    cube = cube.reshape(-1, *cube.shape[-3:])
    draws, seeds, items, columns = cube.shape
    replicates = cube.reshape(draws * seeds, items, columns)
    means = [
        np.einsum("br,brc->bc", counts, np.tensordot(item_counts, replicates, axes=(1, 1)))
        for item_counts, counts in _resamplings(items, seeds, draws, samples, seed)
    ]
    resampled: Floats = np.concatenate(means) / (draws * seeds * items)
    return resampled


def bootstrap_by_replicate(values: NDArray[np.generic], samples: int, seed: int) -> Floats:
    """The same of each draw and seed: the same items of all of them, which are not resampled.

    values: (draws, seeds, items, columns). Returns (samples, draws, seeds, columns).
    """
    draws, seeds, items, columns = values.shape
    # a column for each draw and seed, so that a sample has the same items in all of them
    apart = np.moveaxis(values, 2, 0).reshape(1, items, -1)
    return bootstrap_means(apart, samples, seed).reshape(samples, draws, seeds, columns)


def bootstrap_over_replicates(by_replicate: Floats, seed: int) -> Floats:
    """The mean of each column over draws and seeds that are resampled too: (samples, columns).

    by_replicate: (samples, draws, seeds, columns), as of `bootstrap_by_replicate`.
    """
    samples, draws, seeds, _ = by_replicate.shape
    generator = np.random.default_rng(seed)
    of_seeds, of_draws = (
        generator.multinomial(levels, np.full(levels, 1 / levels), size=samples) / levels
        for levels in (seeds, draws)
    )
    means: Floats = np.einsum("bd,bs,bdsc->bc", of_draws, of_seeds, by_replicate)
    return means


def _resamplings(
    items: int, seeds: int, draws: int, samples: int, seed: int
) -> Iterator[tuple[Floats, Floats]]:
    """Chunks of (samples, items) and (samples, draws * seeds): how often each was drawn."""
    generator = np.random.default_rng(seed)
    chunk = max(1, _WEIGHTS_IN_MEMORY // items)
    for start in range(0, samples, chunk):
        size = min(chunk, samples - start)
        of_items, of_seeds = (_counts(generator, size, number) for number in (items, seeds))
        # a single draw takes nothing from the generator
        of_draws = _counts(generator, size, draws) if draws > 1 else np.ones((size, 1))
        of_both = of_draws[:, :, None] * of_seeds[:, None, :]
        yield of_items, of_both.reshape(size, draws * seeds)


def _counts(generator: np.random.Generator, samples: int, choices: int) -> Floats:
    """How often each of `choices` is drawn, in `choices` draws: (samples, choices)."""
    drawn = generator.integers(choices, size=(samples, choices))
    cells = drawn + choices * np.arange(samples)[:, None]
    counts = np.bincount(cells.ravel(), minlength=samples * choices)
    return counts.reshape(samples, choices).astype(float)


def percentile_interval(means: Floats, confidence: float) -> Interval:
    """The middle `confidence` of bootstrap samples (Efron 1979)."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(low), float(high))


def basic_interval(estimate: float, means: Floats, confidence: float) -> Interval:
    """The basic bootstrap interval (Davison and Hinkley 1997, eq. 5.6): the percentiles, reflected.

    Unlike them it corrects for a bias that resampling repeats, such as that of a sum of magnitudes.
    """
    low, high = percentile_interval(means, confidence)
    return Interval(2 * estimate - high, 2 * estimate - low)


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
    from statsmodels.stats.contingency_tables import mcnemar

    return float(mcnemar([[0, only_first], [only_second, 0]], exact=True).pvalue)


def crossed_difference(differences: Floats, confidence: float) -> Difference:
    """`crossed_differences` of a single pair: few degrees of freedom.

    differences: (seeds, items) or (draws, seeds, items).
    """
    pair = np.stack([differences, np.zeros_like(differences)], axis=-1)
    return crossed_differences(pair, [(0, 1)], confidence)[0]


def crossed_differences(
    values: Floats, pairs: Sequence[tuple[int, int]], confidence: float
) -> list[Difference]:
    """Mean differences over draws, seeds and items, each a sample of more: t tests of crossed
    effects.

    The variance of a mean over a two-way table without replication is
    `(MS_seeds + MS_items - MS_rest) / (seeds * items)`, over a three-way table
    `(MS_draws + MS_seeds + MS_items - MS_draws:seeds - MS_draws:items - MS_seeds:items + MS_rest)
    / (draws * seeds * items)` (Cornfield and Tukey 1956; Clark's quasi-F, 1973), with no component
    below 0. A few seeds or draws say little about how much they vary, so what they say of all
    members is pooled, as in any analysis of variance: MS_seeds is the sum of the members' mean
    one for both sides, or the pair's own where that is larger; MS_draws likewise; of
    MS_draws:seeds, which is subtracted, the smaller counts. The degrees of freedom are those of
    the pooled ones, `(seeds - 1) * members` and `(draws - 1) * members`, the fewer of those that
    the pair has a part in, which is cautious where items vary more.

    A member has a part in the seeds or draws that its values vary over: the same in every seed, it
    was not trained; the same in every draw, no demonstrations reached it. What varies over one of
    the two is tested over that and items alone; its mean square is pooled over all members that
    vary over it, for seeds in each draw and for draws in each seed. That of members that vary over
    both is pooled over those. A single seed or draw is no sample: the test is about it.

    `benchmarks/verdict_rates.py` simulates how often it finds something where there is nothing.
    The pair's own mean squares with Satterthwaite's degrees of freedom find it too often in groups
    and few seeds. Fewer than `LEAST_LEVELS` of what a pair varies over have an interval and no p.

    values: (draws, seeds, items, members), or (seeds, items, members) of one draw.
    pairs: places of (first, second) of each difference, first minus second. NaN where fewer than
    two seeds or items leave no variance to estimate.
    """
    cube = values.reshape(-1, *values.shape[-3:])
    spreads = _Spreads(cube)
    return [
        _crossed(
            cube[..., first] - cube[..., second], spreads.of(first, second), confidence
        )._replace(binary=is_binary(cube[..., [first, second]]))
        for first, second in pairs
    ]


class _Pooled(NamedTuple):
    """A mean square of each member, (members,), and its degrees of freedom."""

    square: Floats
    df: int

    @classmethod
    def of(cls, tables: Floats, varies: Bools) -> _Pooled:
        """The mean of the members that vary, for each of them, and 0 for the others.

        tables: (tables, levels, items, members); several tables are of the same levels.
        """
        _, levels, items, _ = tables.shape
        df = (levels - 1) * max(int(varies.sum()), 1)
        centred = (tables.mean(axis=2) - tables.mean(axis=(1, 2))[:, None])[:, :, varies]
        squares = np.sum(centred**2, axis=(1, 2))
        return cls(varies * items * float(squares.mean()) / max(df, 1), df)

    def of_member(self, member: int) -> tuple[float, int]:
        return float(self.square[member]), self.df

    def times(self, factor: int) -> _Pooled:
        return self._replace(square=factor * self.square)


class _Spread(NamedTuple):
    """How much a pair varies over seeds and over draws, as far as the members say it together.

    levels: of what the pair varies over, how many seeds or draws there are.
    squares: mean square of each of these, for a table of what the pair varies over.
    both: mean square of seeds in draws.
    df: degrees of freedom of the squares.
    """

    levels: Mapping[str, int]
    squares: Mapping[str, float]
    both: float
    df: int


class _Spreads:
    """The `_Spread` of each pair of a group.

    cube: (draws, seeds, items, members).
    """

    def __init__(self, cube: Floats) -> None:
        self.draws, self.seeds, items, _ = cube.shape
        self.trained: Bools = (cube != cube[:, :1]).any(axis=(0, 1, 2))
        self.drawn: Bools = (cube != cube[:1]).any(axis=(0, 1, 2))
        both = self.trained & self.drawn
        self.by_seed = _Pooled.of(cube, self.trained)
        self.by_draw = _Pooled.of(np.moveaxis(cube, 1, 0), self.drawn)
        # of members that vary over both
        self.by_seed_of_both = _Pooled.of(cube.mean(axis=0)[None], both).times(self.draws)
        self.by_draw_of_both = _Pooled.of(cube.mean(axis=1)[None], both).times(self.seeds)
        means = cube.mean(axis=2)[..., both]
        apart = means - means.mean(axis=0) - means.mean(axis=1)[:, None] + means.mean(axis=(0, 1))
        df = (self.draws - 1) * (self.seeds - 1) * max(int(both.sum()), 1)
        self.of_both = both * items * float(np.sum(apart**2)) / max(df, 1)

    def of(self, *pair: int) -> _Spread:
        """pair: places of its members."""
        members = list(pair)
        if not self.drawn[members].any() and not (self.seeds == 1 < self.draws):
            square = float(self.by_seed.square[members].sum())
            return _Spread({"seeds": self.seeds}, {"seeds": square}, 0.0, self.by_seed.df)
        if not self.trained[members].any():
            square = float(self.by_draw.square[members].sum())
            return _Spread({"draws": self.draws}, {"draws": square}, 0.0, self.by_draw.df)
        parts: dict[str, list[tuple[float, int]]] = {"seeds": [], "draws": []}
        for member in members:
            if self.trained[member] and self.drawn[member]:
                parts["seeds"].append(self.by_seed_of_both.of_member(member))
                parts["draws"].append(self.by_draw_of_both.of_member(member))
            elif self.trained[member]:
                parts["seeds"].append(self.by_seed.times(self.draws).of_member(member))
            elif self.drawn[member]:
                parts["draws"].append(self.by_draw.times(self.seeds).of_member(member))
        return _Spread(
            {"seeds": self.seeds, "draws": self.draws},
            {name: sum(square for square, _ in own) for name, own in parts.items()},
            float(self.of_both[members].sum()),
            min(df for own in parts.values() for _, df in own),
        )


class _Squares(NamedTuple):
    """Mean squares of a two-way table without replication."""

    rows: float
    columns: float
    rest: float

    @classmethod
    def of(cls, table: Floats) -> _Squares:
        """table: (rows, columns), two of each at least."""
        rows, columns = table.shape
        of_rows, of_columns = table.mean(axis=1), table.mean(axis=0)
        rest = table - of_rows[:, None] - of_columns + float(table.mean())
        return cls(
            columns * float(of_rows.var(ddof=1)),
            rows * float(of_columns.var(ddof=1)),
            float(np.sum(rest**2)) / ((rows - 1) * (columns - 1)),
        )

    def times(self, factor: int) -> _Squares:
        return _Squares(*(factor * square for square in self))


def _crossed(differences: Floats, spread: _Spread, confidence: float) -> Difference:
    """One of the `crossed_differences`.

    differences: (draws, seeds, items).
    """
    levels, items = spread.levels, differences.shape[-1]
    # the same in every draw, or in every seed
    own = differences[
        slice(None if "draws" in levels else 1), slice(None if "seeds" in levels else 1)
    ]
    mean = float(own.mean())
    notes = (
        f"too few {name}: {number} of {LEAST_LEVELS}"
        for name, number in levels.items()
        if number < LEAST_LEVELS
    )
    note = next(notes, "")
    if min(*levels.values(), items) < 2:
        return _untested(mean, own.size, note or f"too few items: {items} of 2")
    if len(levels) == 2:
        by_replicate, by_item, by_rest = _three_way(own, spread)
    else:
        (pooled,) = spread.squares.values()
        squares = _Squares.of(own.reshape(-1, items))
        by_replicate, by_item, by_rest = max(squares.rows, pooled), squares.columns, squares.rest
    square = max(by_replicate + max(by_item - by_rest, 0.0), by_rest)
    error = math.sqrt(square / own.size)
    tested = _tested(mean, error, spread.df, own.size, confidence)
    return tested._replace(p=math.nan, note=note) if note else tested


def _three_way(differences: Floats, spread: _Spread) -> tuple[float, float, float]:
    """Mean squares of seeds and draws together, of items, and of what items differ by in them.

    differences: (draws, seeds, items).
    """
    draws, seeds, items = differences.shape
    over_draws = _Squares.of(differences.mean(axis=0)).times(draws)
    over_seeds = _Squares.of(differences.mean(axis=1)).times(seeds)
    over_items = _Squares.of(differences.mean(axis=2)).times(items)
    rest = differences - differences.mean(axis=0) - differences.mean(axis=1)[:, None]
    rest = rest - differences.mean(axis=2)[:, :, None]
    for kept in ((0, 1), (0, 2), (1, 2)):
        rest = rest + differences.mean(axis=kept, keepdims=True)
    rest = rest - differences.mean()
    by_all = float(np.sum(rest**2)) / ((draws - 1) * (seeds - 1) * (items - 1))
    by_seed = max(over_draws.rows, spread.squares["seeds"])
    by_draw = max(over_seeds.rows, spread.squares["draws"])
    by_both = min(over_items.rest, spread.both, by_seed, by_draw)
    by_rest = over_draws.rest + over_seeds.rest - by_all
    return by_seed + by_draw - by_both, over_draws.columns, by_rest


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
