"""How often something is shown, where there is nothing and where there is something.

Writes the tables of docs/statistics.md:

    python -m benchmarks.verdict_rates

Conditions answer simulated items: the log-odds of a correct answer are the sum of an item's
easiness, a condition's effect, and what a seed adds to a condition and to an item of it. Under the
null no condition has an effect. Graded answers are of several words, each right or wrong with the
same odds: the score is the share of right ones. Verdicts are those of the package.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations, product
from pathlib import Path

import numpy as np
from tabulate import tabulate
from tqdm import tqdm

from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.results.statistics import (
    Difference,
    Floats,
    bootstrap_means,
    crossed_differences,
    percentile_interval,
    score_difference,
)
from workflow_scripts.tables.comparisons import decide
from workflow_scripts.tables.verdicts import NOT_SHOWN

PAGE = Path(__file__).parents[1] / "docs/statistics.md"
SETTINGS = AnalysisSettings()
SIMULATIONS, BOOTSTRAP_SAMPLES = 1000, 400
ITEMS = 130
WORDS = 8
EASINESS_SPREAD, INTERACTION_SPREAD = 1.5, 1.0
# seeds, and how far they differ, in logits
NULLS = [(1, 0.0), *product((3, 5), (0.0, 0.3, 1.0))]
EFFECTS = [*product((1, 3), (0.4, 0.8, 1.2))]


def answers(
    generator: np.random.Generator,
    seeds: int,
    seed_spread: float,
    effects: Sequence[float],
    words: int = 1,
) -> Floats:
    """(seeds, items, conditions): the share of each answer's words that is right.

    effects: in logits.
    """
    conditions = len(effects)
    easiness = 1 + EASINESS_SPREAD * generator.standard_normal((ITEMS, 1))
    of_seed = seed_spread * generator.standard_normal((seeds, 1, conditions))
    of_both = INTERACTION_SPREAD * generator.standard_normal((seeds, ITEMS, conditions))
    odds = easiness + of_seed + of_both + np.asarray(effects)
    drawn = generator.random((words, seeds, ITEMS, conditions))
    scores: Floats = (drawn < 1 / (1 + np.exp(-odds))).mean(axis=0)
    return scores


def differences(scores: Floats) -> list[Difference]:
    """The differences of all pairs, as the workflow computes them: for one seed or over several."""
    pairs = list(combinations(range(scores.shape[2]), 2))
    if len(scores) > 1:
        return crossed_differences(scores, pairs, SETTINGS.confidence)
    (seed,) = scores
    return [
        score_difference(seed[:, one], seed[:, other], SETTINGS.confidence) for one, other in pairs
    ]


def anything_shown(scores: Floats) -> bool:
    decisions = decide(differences(scores), ITEMS, SETTINGS)
    return any(decision.verdict != NOT_SHOWN for decision in decisions)


def bootstrap_finds(scores: Floats, number: int) -> bool:
    """Whether the percentile bootstrap over items and seeds excludes 0 for the first pair."""
    pair = (scores[:, :, 0] - scores[:, :, 1])[:, :, None]
    draws = bootstrap_means(pair, BOOTSTRAP_SAMPLES, number)[:, 0]
    return percentile_interval(draws, SETTINGS.confidence).excludes_zero


def false_positives(words: int) -> str:
    """Per cent of nulls in which anything is shown, and in which the bootstrap finds a pair."""
    rows = []
    for seeds, spread in tqdm(NULLS, desc="nulls"):
        generator = np.random.default_rng([seeds, int(10 * spread)])
        found = np.zeros(3)
        for number in range(SIMULATIONS):
            five = answers(generator, seeds, spread, effects=[0.0] * 5, words=words)
            pair = five[:, :, :2]
            found += anything_shown(pair), anything_shown(five), bootstrap_finds(pair, number)
        rows.append([seeds, spread, *(100 * found / SIMULATIONS)])
    headers = ["seeds", "seed SD", "a pair", "a group of five", "a pair, by the bootstrap"]
    return _table(rows, headers, ("g", "g", ".1f", ".1f", ".1f"))


def power() -> str:
    """Per cent of simulations in which a true difference is shown, beside what was promised."""
    rows = []
    for seeds, effect in tqdm(EFFECTS, desc="effects"):
        generator = np.random.default_rng([seeds, int(10 * effect), 1])
        true, promised, shown = [], [], 0
        for _ in range(SIMULATIONS):
            scores = answers(generator, seeds, 0.2 * (seeds > 1), effects=[effect, 0.0])
            (difference,) = differences(scores)
            (decision,) = decide([difference], ITEMS, SETTINGS)
            true.append(difference.estimate)
            promised.append(decision.detectable)
            shown += decision.verdict != NOT_SHOWN
        mean, median = 100 * float(np.mean(true)), 100 * float(np.median(promised))
        rows.append([seeds, mean, median, 100 * shown / SIMULATIONS])
    headers = ["seeds", "true difference", "detectable", "shown"]
    return _table(rows, headers, ("g", ".1f", ".1f", ".1f"))


def _table(rows: list[list[float]], headers: list[str], formats: tuple[str, ...]) -> str:
    return str(tabulate(rows, headers, tablefmt="github", floatfmt=formats))


def main() -> None:
    page = PAGE.read_text()
    tables = {
        "false-positives": false_positives(words=1),
        "graded": false_positives(words=WORDS),
        "power": power(),
    }
    for name, table in tables.items():
        block = re.compile(rf"(<!-- rates: {name} -->\n).*?(<!-- /rates -->)", re.S)
        page = block.sub(lambda found, table=table: f"{found[1]}{table}\n{found[2]}", page)
    PAGE.write_text(page)


if __name__ == "__main__":
    main()
