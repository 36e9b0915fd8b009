"""Paired comparisons within each group, on the same items, corrected for their number.

The primary metric is strict accuracy on the test split: verdicts are about it and nothing else.
The answer loss is compared beside it, without a verdict.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from tqdm import tqdm

from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.config.slices import ComparisonSlice
from workflow_scripts.results.checkpoint_selection import at_chosen_steps, written_steps
from workflow_scripts.results.index import (
    ResultIndex,
    beside_each_seed,
    by_item,
    by_seed,
    read_predictions,
    write_table,
)
from workflow_scripts.results.metrics import columns_of, in_columns
from workflow_scripts.results.statistics import (
    Difference,
    Floats,
    Interval,
    bootstrap_means,
    crossed_differences,
    holm,
    least_discordant,
    paired_mean_difference,
    percentile_interval,
    score_difference,
    score_interval,
    score_interval_over_seeds,
    smallest_detectable,
)
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.tables.verdicts import verdict

COLUMNS = [
    "model",
    "task",
    "group",
    "first",
    "second",
    "seed",
    "first_step",
    "second_step",
    "items",
    *columns_of("first_accuracy", "second_accuracy", "difference"),
    "bootstrap_low",
    "bootstrap_high",
    "discordant",
    "p",
    "p_holm",
    "verdict",
    "note",
    "detectable",
    *columns_of("loss_difference"),
]


def main(
    settings: AnalysisSettings, groups: list[ComparisonSlice], index: ResultIndex, table: Path
) -> None:
    """Make comparisons.csv from the predictions of one model on one task."""
    write_table(compare(read_predictions(index), groups, settings), table)


def compare(
    predictions: pd.DataFrame, groups: Sequence[ComparisonSlice], settings: AnalysisSettings
) -> pd.DataFrame:
    """comparisons.csv: the pairs of each group, for each seed and for all of them.

    Each run is represented by its checkpoint chosen on validation
    (`results/checkpoint_selection.py`) and compared on the test split, item by item; a transferred
    result is compared like a run. A base result has no seed and is compared with every seed; a
    group of base results alone has no seed.

    `difference` is first minus second. For a seed it is the `score_difference` (of accuracies
    with the p of the exact McNemar test), and is about these trained models. With several seeds
    there are also rows with seed `all`, by `crossed_differences`, which is about the conditions.
    Two base results are the same in every seed, and are compared as for one. `bootstrap_low` and
    `_high` are of the percentile bootstrap over items and seeds, for comparison: they decide
    nothing. `discordant` counts items, or pairs of item and seed, on which the two disagree.
    Steps of `all` are those of its seeds.

    `p_holm`, `verdict`, `note` and `detectable` are those of `decide`, within one group and seed.
    The interval of the difference in answer loss is Student's over items, and crossed for `all`.

    predictions: of one model on one task, as `read_predictions` returns them.
    Raises InputError when a member of a group has no predictions, or when two of them hold
    different items.
    """
    _refuse_missing(groups, predictions)
    named = {name for group in groups for name in group.members}
    chosen = at_chosen_steps(predictions[predictions["condition"].isin(named)])
    trained = set(chosen.loc[chosen["seed"].notna(), "condition"])
    by_seed = tqdm(list(_by_seed(chosen)), desc="comparing", mininterval=2)
    members_by_seed = [(seed, _members(own, settings)) for seed, own in by_seed]
    rows = []
    for group in groups:
        with_seeds = not trained.isdisjoint(group.members)
        for seed, members in members_by_seed:
            if with_seeds == (seed is not None):
                rows += [
                    {"group": group.name, "seed": seed} | row
                    for row in _compared(group, members, settings)
                ]
    table = pd.DataFrame(rows, columns=COLUMNS)
    if rows:
        table["model"], table["task"] = predictions[["model", "task"]].iloc[0]
    return table


def _refuse_missing(groups: Sequence[ComparisonSlice], predictions: pd.DataFrame) -> None:
    present = set(predictions["condition"])
    for group in groups:
        missing = [name for name in group.members if name not in present]
        if missing:
            raise InputError(
                f"comparisons.{group.name}: no predictions of {', '.join(missing)}: "
                "list them in the index, or leave them out of the group"
            )


# --- members of groups ------------------------------------------------------------------


@dataclass(frozen=True)
class _Member:
    """A result at its chosen steps, with one seed or with all of them.

    trained: whether it differs between seeds at all; a base result is repeated for each.
    steps: as written in the table.
    strict, loss: (seeds, items).
    draws: (samples,) of the accuracy, paired with those of the other members.
    """

    name: str
    trained: bool
    steps: str
    strict: Floats
    loss: Floats
    draws: Floats

    def as_side(self, side: str, confidence: float) -> dict[str, object]:
        """Its own columns, as the first or the second of a pair."""
        if self.trained and len(self.strict) > 1:
            interval = score_interval_over_seeds(self.strict, self.draws, confidence)
        else:
            interval = score_interval(self.strict[0], confidence)
        accuracy = in_columns(f"{side}_accuracy", float(self.strict.mean()), interval)
        return {side: self.name, f"{side}_step": self.steps, **accuracy}


def _by_seed(chosen: pd.DataFrame) -> Iterator[tuple[str | None, pd.DataFrame]]:
    """Base results alone, then with the runs of each seed, then with all of several seeds."""
    base, runs = chosen[chosen["seed"].isna()], chosen[chosen["seed"].notna()]
    if len(base):
        yield None, base.assign(seed=0)
    yield from by_seed(beside_each_seed(base, runs))


def _members(chosen: pd.DataFrame, settings: AnalysisSettings) -> dict[str, _Member]:
    """Result name → member; all have the same items and bootstrap draws."""
    seeds = chosen["seed"].nunique()
    strict, loss = (by_item(chosen, value, ["condition"]) for value in ("strict", "answer_loss"))
    names = list(strict.columns)
    cube = strict.to_numpy(dtype=float).reshape(seeds, -1, len(names))
    losses = loss[names].to_numpy(dtype=float).reshape(cube.shape)
    draws = bootstrap_means(cube, settings.bootstrap_samples, settings.seed)
    untrained = set(chosen.loc[chosen["shots"].notna(), "condition"])
    return {
        name: _Member(
            name=name,
            trained=name not in untrained,
            steps=written_steps(chosen[chosen["condition"] == name]),
            strict=cube[:, :, place],
            loss=losses[:, :, place],
            draws=draws[:, place],
        )
        for place, name in enumerate(names)
    }


# --- comparing ----------------------------------------------------------------------------


def _compared(
    group: ComparisonSlice, members: Mapping[str, _Member], settings: AnalysisSettings
) -> list[dict[str, object]]:
    """One row for each pair of the group."""
    own = [members[name] for name in group.members]
    confidence = settings.confidence
    accuracies = _differences(
        group, own, [member.strict for member in own], score_difference, confidence
    )
    losses = _differences(
        group, own, [member.loss for member in own], paired_mean_difference, confidence
    )
    decisions = decide(accuracies, own[0].strict.shape[1], settings)
    return [
        members[first].as_side("first", confidence)
        | members[second].as_side("second", confidence)
        | _measured(members[first], members[second], accuracy, loss, confidence)
        | decision._asdict()
        for (first, second), accuracy, loss, decision in zip(
            group.pairs, accuracies, losses, decisions, strict=True
        )
    ]


def _differences(
    group: ComparisonSlice,
    own: Sequence[_Member],
    values: Sequence[Floats],
    of_one_seed: Callable[[Floats, Floats, float], Difference],
    confidence: float,
) -> list[Difference]:
    """The difference of each pair: over seeds and items, or over items where seeds do not matter.

    values: (seeds, items) for each member.
    """
    places = [
        (group.members.index(first), group.members.index(second)) for first, second in group.pairs
    ]
    over_seeds = crossed_differences(np.stack(values, axis=2), places, confidence)
    return [
        crossed
        if len(values[first]) > 1 and (own[first].trained or own[second].trained)
        else of_one_seed(values[first][0], values[second][0], confidence)
        for (first, second), crossed in zip(places, over_seeds, strict=True)
    ]


def _measured(
    first: _Member, second: _Member, accuracy: Difference, loss: Difference, confidence: float
) -> dict[str, object]:
    """The measured columns of a pair, before anything is decided."""
    bootstrap = percentile_interval(first.draws - second.draws, confidence)
    within = Interval(max(accuracy.interval.low, -1.0), min(accuracy.interval.high, 1.0))
    # two base results are the same in every seed
    seeds = slice(None if first.trained or second.trained else 1)
    return {
        "items": first.strict.shape[1],
        **in_columns("difference", accuracy.estimate, within),
        "bootstrap_low": bootstrap.low,
        "bootstrap_high": bootstrap.high,
        "discordant": int(np.count_nonzero(first.strict[seeds] != second.strict[seeds])),
        **in_columns("loss_difference", loss.estimate, loss.interval),
    }


# --- deciding -----------------------------------------------------------------------------


class Decision(NamedTuple):
    """What is decided about a pair; p-values are NaN where nothing was tested."""

    p: float
    p_holm: float
    verdict: str
    note: str
    detectable: float


def decide(
    differences: Sequence[Difference], items: int, settings: AnalysisSettings
) -> list[Decision]:
    """Decide what the pairs of one group and seed show.

    p-values are corrected for their number by Holm, so that a group in which nothing differs
    has a verdict other than `not shown` in at most `1 - confidence` of cases. `detectable` is the
    smallest true difference that would be shown with `settings.power`, at Holm's strictest step.
    A pair without a test has a `note` that says why, and no p-values; it is not counted by Holm.
    Pairs of zeros and ones also have a note where there are too few items: where an exact McNemar
    test would not survive the correction even if all of them disagreed one way.

    differences: one for each pair, of accuracies on the same items.
    """
    count = sum(not difference.note for difference in differences)
    level = (1 - settings.confidence) / max(count, 1)
    if items < least_discordant(level):
        among = f" among {count} pairs" if count > 1 else ""
        note = f"too few items: {items} can show nothing{among}"
        differences = [
            difference._replace(p=math.nan, note=difference.note or note)
            if difference.binary
            else difference
            for difference in differences
        ]
    return [
        Decision(
            p=difference.p,
            p_holm=corrected,
            verdict=verdict(difference.interval, corrected, settings.confidence),
            note=difference.note,
            detectable=math.nan
            if difference.note
            else smallest_detectable(difference, level, settings.power),
        )
        for difference, corrected in zip(
            differences, holm([difference.p for difference in differences]), strict=True
        )
    ]


if __name__ == "__main__":
    run_program(main)
