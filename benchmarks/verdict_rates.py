"""How often a test finds a difference, where there is none and where there is one.

Writes the tables of docs/statistics.md:
    python -m benchmarks.verdict_rates

Two conditions answer simulated items: the log-odds of a correct answer are the sum of an item's
easiness, a condition's effect, and what a seed adds to a condition and to an item of it. Under the
null no condition has an effect.
"""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import numpy as np
from tabulate import tabulate
from tqdm import tqdm

from workflow_scripts.statistics import (
    Bools,
    Floats,
    bootstrap_means,
    crossed_difference,
    paired_difference,
    percentile_interval,
    smallest_detectable,
)

PAGE = Path(__file__).parents[1] / "docs/statistics.md"
SIMULATIONS = 1000
LEVEL = 0.05
SEEDS, ITEMS, SEED_SPREADS = (2, 3, 5), (130, 500), (0.0, 0.5, 1.0)
EASINESS_SPREAD, INTERACTION_SPREAD = 1.5, 1.0


def answers(
    generator: np.random.Generator, seeds: int, items: int, seed_spread: float, effect: float
) -> Bools:
    """(2, seeds, items): which answers of two conditions are correct; the first has the effect."""
    easiness = 1 + EASINESS_SPREAD * generator.standard_normal(items)
    of_seed = seed_spread * generator.standard_normal((2, seeds, 1))
    of_both = INTERACTION_SPREAD * generator.standard_normal((2, seeds, items))
    effects = np.array([effect, 0.0])[:, None, None]
    odds = easiness + of_seed + of_both + effects
    correct: Bools = generator.random((2, seeds, items)) < 1 / (1 + np.exp(-odds))
    return correct


def false_positives() -> str:
    """Share of nulls in which each method finds a difference, in per cent."""
    rows = [
        [seeds, items, spread, *_shares_found(seeds, items, spread)]
        for seeds, items, spread in tqdm(list(product((1, *SEEDS), ITEMS, SEED_SPREADS)))
        if seeds > 1 or spread == 0
    ]
    headers = ["seeds", "items", "seed SD", "test", "bootstrap over items and seeds"]
    return str(tabulate(rows, headers, tablefmt="github", floatfmt=("g", "g", "g", ".1f", ".1f")))


def _shares_found(seeds: int, items: int, spread: float) -> tuple[float, float]:
    generator = np.random.default_rng([seeds, items, int(10 * spread)])
    found = np.zeros(2)
    for number in range(SIMULATIONS):
        first, second = answers(generator, seeds, items, spread, effect=0.0)
        differences = first.astype(float) - second
        draws = bootstrap_means(differences[:, :, None], 400, number)[:, 0]
        p = (
            paired_difference(first[0], second[0], 1 - LEVEL).p
            if seeds == 1
            else _p_of_any_seeds(differences)
        )
        found += p < LEVEL, percentile_interval(draws, 1 - LEVEL).excludes_zero
    test, bootstrap = 100 * found / SIMULATIONS
    return float(test), float(bootstrap)


def _p_of_any_seeds(differences: Floats) -> float:
    """1 or 0 as the test's interval holds zero, which two seeds have though they have no p."""
    return float(not crossed_difference(differences, 1 - LEVEL).interval.excludes_zero)


def power() -> str:
    """Share of simulations in which a true difference is found, beside what was promised."""
    rows = []
    for seeds, items, effect in tqdm(list(product((1, 3), ITEMS, (0.4, 0.8, 1.2)))):
        generator = np.random.default_rng([seeds, items, int(10 * effect)])
        true, found, promised = [], 0, []
        for _ in range(SIMULATIONS):
            first, second = answers(generator, seeds, items, 0.2 * (seeds > 1), effect)
            difference = (
                paired_difference(first[0], second[0], 1 - LEVEL)
                if seeds == 1
                else crossed_difference(first.astype(float) - second, 1 - LEVEL)
            )
            true.append(difference.estimate)
            found += difference.p < LEVEL
            promised.append(smallest_detectable(difference, LEVEL, 0.8))
        rows.append(
            [
                seeds,
                items,
                100 * np.mean(true),
                100 * np.median(promised),
                100 * found / SIMULATIONS,
            ]
        )
    headers = ["seeds", "items", "true difference", "detectable with 80 %", "found"]
    return str(tabulate(rows, headers, tablefmt="github", floatfmt=("g", "g", ".1f", ".1f", ".1f")))


def main() -> None:
    page = PAGE.read_text()
    for name, table in (("false-positives", false_positives()), ("power", power())):
        block = re.compile(rf"(<!-- rates: {name} -->\n).*?(<!-- /rates -->)", re.S)
        page = block.sub(lambda found, table=table: f"{found[1]}{table}\n{found[2]}", page)
    PAGE.write_text(page)


if __name__ == "__main__":
    main()
