"""How often something is shown, where there is nothing and where there is something.

Writes the tables of docs/statistics.md:

    python -m benchmarks.verdict_rates

all of them, or those that are named (`python -m benchmarks.verdict_rates margins`).

Conditions answer simulated items: the log-odds of a correct answer are the sum of an item's
easiness, a condition's effect, and what a seed, a draw of demonstrations and the run of both add to
a condition, and a run to an item of it. Under the null no condition has an effect. Graded answers
are of several words, each right or wrong with the same odds: the score is the share of right ones.
Verdicts are those of the package.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from functools import partial
from itertools import combinations, product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tabulate import tabulate
from tqdm import tqdm

from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.config.comparisons import MarginAsked
from workflow_scripts.results.statistics import (
    Difference,
    Floats,
    bootstrap_means,
    crossed_differences,
    percentile_interval,
    score_difference,
)
from workflow_scripts.tables.comparisons import decide, decide_margin
from workflow_scripts.tables.verdicts import NOT_SHOWN, NOT_WORSE

PAGE = Path(__file__).parents[1] / "docs/statistics.md"
SETTINGS = AnalysisSettings()
SIMULATIONS, BOOTSTRAP_SAMPLES = 1000, 400
ITEMS = 130
WORDS = 8
EASINESS_SPREAD, INTERACTION_SPREAD = 1.5, 1.0
# seeds, and how far they differ, in logits
NULLS = [(1, 0.0), *product((3, 5), (0.0, 0.3, 1.0))]
EFFECTS = [*product((1, 3), (0.4, 0.8, 1.2))]
# seeds, and by how much the first is worse, in logits
MARGINS = [*product((1, 3, 5), (0.4, 0.8, 1.2))]


class Spread(NamedTuple):
    """How far seeds, draws and the runs of both differ, in logits."""

    seed: float
    draw: float = 0.0
    run: float = 0.0


# draws, seeds and how far they differ: a single seed is about that seed, so it has no spread
DRAWN = [
    *((3, 3, Spread(*spread)) for spread in ((0, 0, 0), (0, 1, 0), (0.3, 0.3, 0.3), (1, 1, 1))),
    *((3, 1, Spread(0, draw, 0)) for draw in (0, 0.3, 1)),
    (2, 3, Spread(0.3, 0.3, 0.3)),
    (5, 2, Spread(0.3, 0.3, 0.3)),
    (5, 3, Spread(0.3, 0.3, 0.3)),
]
DRAWN_EFFECTS = [*product(((3, 1), (3, 3), (5, 3)), (0.4, 0.8, 1.2))]
# whether each member of a group varies over seeds, and over draws: fine-tuning on gold answers, the
# base model with demonstrations and without, and students of a teacher that sees demonstrations
UNLIKE = [(True, False), (False, True), (False, False), (True, True), (True, True)]


def answers(
    generator: np.random.Generator,
    seeds: int,
    spread: Spread,
    effects: Sequence[float],
    words: int = 1,
    draws: int = 1,
    varies: Sequence[tuple[bool, bool]] | None = None,
) -> Floats:
    """(draws, seeds, items, conditions): the share of each answer's words that is right.

    effects: in logits. varies: whether each condition varies over seeds, and over draws.
    """
    conditions = len(effects)
    easiness = 1 + EASINESS_SPREAD * generator.standard_normal((ITEMS, 1))
    of_seed = spread.seed * generator.standard_normal((1, seeds, 1, conditions))
    of_item = INTERACTION_SPREAD * generator.standard_normal((draws, seeds, ITEMS, conditions))
    odds = easiness + of_item + np.asarray(effects)
    trained, drawn = np.transpose(varies or [(True, True)] * conditions)
    odds = odds + trained * of_seed
    if draws > 1:
        of_draw = spread.draw * generator.standard_normal((draws, 1, 1, conditions))
        of_run = spread.run * generator.standard_normal((draws, seeds, 1, conditions))
        odds = odds + drawn * of_draw + (trained & drawn) * of_run
    right = generator.random((words, draws, seeds, ITEMS, conditions)) < 1 / (1 + np.exp(-odds))
    scores: Floats = right.mean(axis=0)
    # the same in every draw, or in every seed
    scores[..., ~drawn] = scores[:1][..., ~drawn]
    scores[..., ~trained] = scores[:, :1][..., ~trained]
    return scores


def differences(scores: Floats) -> list[Difference]:
    """The differences of all pairs, as the workflow computes them: for one run or over several."""
    draws, seeds, _, conditions = scores.shape
    pairs = list(combinations(range(conditions), 2))
    if draws * seeds > 1:
        return crossed_differences(scores, pairs, SETTINGS.confidence)
    run = scores[0, 0]
    return [
        score_difference(run[:, one], run[:, other], SETTINGS.confidence) for one, other in pairs
    ]


def anything_shown(scores: Floats) -> bool:
    decisions = decide(differences(scores), ITEMS, SETTINGS)
    return any(decision.verdict != NOT_SHOWN for decision in decisions)


def bootstrap_finds(scores: Floats, number: int) -> bool:
    """Whether the percentile bootstrap excludes 0 for the first pair."""
    pair = (scores[..., 0] - scores[..., 1])[..., None]
    means = bootstrap_means(pair, BOOTSTRAP_SAMPLES, number)[:, 0]
    return percentile_interval(means, SETTINGS.confidence).excludes_zero


def false_positives(words: int) -> str:
    """Per cent of nulls in which anything is shown, and in which the bootstrap finds a pair."""
    rows = []
    for seeds, spread in tqdm(NULLS, desc="nulls"):
        generator = np.random.default_rng([seeds, int(10 * spread)])
        found = np.zeros(3)
        for number in range(SIMULATIONS):
            five = answers(generator, seeds, Spread(spread), effects=[0.0] * 5, words=words)
            pair = five[..., :2]
            found += anything_shown(pair), anything_shown(five), bootstrap_finds(pair, number)
        rows.append([seeds, spread, *_per_cent(found)])
    headers = ["seeds", "seed SD", "a pair", "a group of five", "a pair, by the bootstrap"]
    return _table(rows, headers, ("g", "g", ".1f", ".1f", ".1f"))


def false_positives_over_draws() -> str:
    """The same over draws of demonstrations; also in a group whose members vary over unlike."""
    rows = []
    for draws, seeds, spread in tqdm(DRAWN, desc="draws"):
        generator = np.random.default_rng([draws, seeds, *(int(10 * part) for part in spread)])
        found = np.zeros(4)
        for number in range(SIMULATIONS):
            five, unlike = (
                answers(generator, seeds, spread, [0.0] * 5, draws=draws, varies=varies)
                for varies in (None, UNLIKE)
            )
            pair = five[..., :2]
            found += anything_shown(pair), anything_shown(five), anything_shown(unlike), 0
            found[3] += bootstrap_finds(pair, number)
        rows.append([draws, seeds, spread.draw, spread.seed, spread.run, *_per_cent(found)])
    headers = ["draws", "seeds", "draw SD", "seed SD", "run SD", "a pair", "a group of five"]
    headers += ["a group of unlike five", "a pair, by the bootstrap"]
    return _table(rows, headers, (*["g"] * 5, *[".1f"] * 4))


def power_over_draws() -> str:
    """Per cent of simulations in which a true difference is shown, over draws."""
    rows = []
    for (draws, seeds), effect in tqdm(DRAWN_EFFECTS, desc="effects over draws"):
        generator = np.random.default_rng([draws, seeds, int(10 * effect), 1])
        spread = Spread(0.2 * (seeds > 1), 0.2, 0.2)
        true, promised, shown = [], [], 0
        for _ in range(SIMULATIONS):
            scores = answers(generator, seeds, spread, [effect, 0.0], draws=draws)
            (difference,) = differences(scores)
            (decision,) = decide([difference], ITEMS, SETTINGS)
            true.append(difference.estimate)
            promised.append(decision.detectable)
            shown += decision.verdict != NOT_SHOWN
        sizes = 100 * float(np.mean(true)), 100 * float(np.median(promised))
        rows.append([draws, seeds, *sizes, 100 * shown / SIMULATIONS])
    headers = ["draws", "seeds", "true difference", "detectable", "shown"]
    return _table(rows, headers, ("g", "g", ".1f", ".1f", ".1f"))


def power() -> str:
    """Per cent of simulations in which a true difference is shown, beside what was promised."""
    rows = []
    for seeds, effect in tqdm(EFFECTS, desc="effects"):
        generator = np.random.default_rng([seeds, int(10 * effect), 1])
        true, promised, shown = [], [], 0
        for _ in range(SIMULATIONS):
            scores = answers(generator, seeds, Spread(0.2 * (seeds > 1)), effects=[effect, 0.0])
            (difference,) = differences(scores)
            (decision,) = decide([difference], ITEMS, SETTINGS)
            true.append(difference.estimate)
            promised.append(decision.detectable)
            shown += decision.verdict != NOT_SHOWN
        mean, median = 100 * float(np.mean(true)), 100 * float(np.median(promised))
        rows.append([seeds, mean, median, 100 * shown / SIMULATIONS])
    headers = ["seeds", "true difference", "detectable", "shown"]
    return _table(rows, headers, ("g", ".1f", ".1f", ".1f"))


def margins() -> str:
    """Per cent of simulations in which the first of two is `not worse`.

    Once where it is worse by just the margin, and once where there is no difference.
    """
    rows = []
    for seeds, effect in tqdm(MARGINS, desc="margins"):
        generator = np.random.default_rng([seeds, int(10 * effect), 2])
        spread = Spread(0.3 * (seeds > 1))
        # what the effect costs, of as many items as leave no doubt
        many = [answers(generator, seeds, spread, [-effect, 0.0]) for _ in range(SIMULATIONS)]
        loss = float(np.mean([scores[..., 1] - scores[..., 0] for scores in many]))
        asked = MarginAsked(margin=loss, both_ways=False)
        shown, promised = np.zeros(2), []
        for worse in many:
            same = answers(generator, seeds, spread, [0.0, 0.0])
            for place, scores in enumerate((worse, same)):
                (decision,) = decide_margin(differences(scores), ITEMS, asked, SETTINGS)
                shown[place] += decision["margin_verdict"] == NOT_WORSE
            promised.append(decision["margin_detectable"])
        sizes = 100 * loss, 100 * float(np.median(promised))
        rows.append([seeds, *sizes, *_per_cent(shown)])
    headers = ["seeds", "margin", "detectable margin", "shown, worse by the margin"]
    return _table(rows, [*headers, "shown, no difference"], ("g", *[".1f"] * 4))


def _per_cent(found: Floats) -> Floats:
    return 100 * found / SIMULATIONS


def _table(rows: list[list[float]], headers: list[str], formats: tuple[str, ...]) -> str:
    return str(tabulate(rows, headers, tablefmt="github", floatfmt=formats))


TABLES: dict[str, Callable[[], str]] = {
    "false-positives": partial(false_positives, words=1),
    "graded": partial(false_positives, words=WORDS),
    "power": power,
    "draws": false_positives_over_draws,
    "draws-power": power_over_draws,
    "margins": margins,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "tables", nargs="*", metavar="table", default=[*TABLES], help=", ".join(TABLES)
    )
    page = PAGE.read_text()
    for name in parser.parse_args().tables:
        table = TABLES[name]()
        block = re.compile(rf"(<!-- rates: {name} -->\n).*?(<!-- /rates -->)", re.S)
        page = block.sub(lambda found, table=table: f"{found[1]}{table}\n{found[2]}", page)
    PAGE.write_text(page)


if __name__ == "__main__":
    main()
