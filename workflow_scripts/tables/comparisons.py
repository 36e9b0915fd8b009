"""Paired comparisons within each group, on the same items, corrected for their number.

The primary metric is strict accuracy on the test split: verdicts are about it and nothing else.
The answer loss is compared beside it, without a verdict.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from tqdm import tqdm

from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.config.comparisons import MarginAsked
from workflow_scripts.config.slices import ComparisonSlice
from workflow_scripts.results.checkpoint_selection import at_chosen_steps, written_steps
from workflow_scripts.results.index import (
    REPLICATE,
    ResultIndex,
    by_item,
    by_replicate,
    cube_of,
    read_predictions,
    write_table,
)
from workflow_scripts.results.margins import p_equivalent, p_not_worse, smallest_shown
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
from workflow_scripts.tables.verdicts import (
    EQUIVALENT,
    MARGIN_COLUMNS,
    NOT_WORSE,
    verdict,
    verdict_of_margin,
)

COLUMNS = [
    "model",
    "task",
    "group",
    "first",
    "second",
    *REPLICATE,
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
    *MARGIN_COLUMNS,
    *columns_of("loss_difference"),
]


def main(
    settings: AnalysisSettings, groups: list[ComparisonSlice], index: ResultIndex, table: Path
) -> None:
    """Make comparisons.csv from the predictions of one model on one task."""
    write_table(compare(read_predictions(index), groups, settings, index.foreign), table)


def compare(
    predictions: pd.DataFrame,
    groups: Sequence[ComparisonSlice],
    settings: AnalysisSettings,
    foreign: Sequence[str] = (),
) -> pd.DataFrame:
    """comparisons.csv: the pairs of each group, for each seed and draw and for all of them.

    Each run is represented by its checkpoint chosen on validation
    (`results/checkpoint_selection.py`) and compared on the test split, item by item; a transferred
    result is compared like a run. A base result has no seed and is compared with every seed; a
    group of base results alone has no seed. A result without a draw is the same in every draw and
    is compared with each; a group of such results has no draw.

    `difference` is first minus second. For a seed and draw it is the `score_difference` (of
    accuracies with the p of the exact McNemar test), and is about these trained models. With
    several there are also rows with seed, draw or both `all`, by `crossed_differences`, which is
    about the conditions. Two results that are the same in every seed and draw are compared as for
    one. `bootstrap_low` and `_high` are of the percentile bootstrap over items, seeds and draws,
    for comparison: they decide nothing. `discordant` counts items, or items in each seed and draw,
    on which the two disagree. Steps of `all` are those of each draw and seed.

    `p_holm`, `verdict`, `note` and `detectable` are those of `decide`, within one group, seed and
    draw. The interval of the difference in answer loss is Student's over items, and crossed for
    `all`.

    predictions: of one model on one task, as `read_predictions` returns them.
    foreign: results that may lack items; a group with some is compared on the items of them all.
    Raises InputError when a member of a group has no predictions, when two others hold different
    items, or when the foreign members of a group have none in common.
    """
    _refuse_missing(groups, predictions)
    named = {name for group in groups for name in group.members}
    chosen = at_chosen_steps(predictions[predictions["condition"].isin(named)])
    return compare_chosen(chosen, groups, settings, foreign)


def compare_chosen(
    chosen: pd.DataFrame,
    groups: Sequence[ComparisonSlice],
    settings: AnalysisSettings,
    foreign: Sequence[str] = (),
) -> pd.DataFrame:
    """The same of results at the step that was chosen.

    chosen: test items of one model on one task: model, task, condition, seed, draw, item, step,
    strict, answer_loss. Where a result has no answer losses, its losses are not compared.
    """
    varies = {
        str(name): _Varies(*(bool(own[column].notna().any()) for column in REPLICATE))
        for name, own in chosen.groupby("condition")
    }
    items = _items_of_each(chosen[chosen["condition"].isin(foreign)])
    of_groups = [
        (_Varies.of([varies[name] for name in group.members]), _common_items(group, items))
        for group in groups
    ]
    members = {
        (wanted, common): _members_by_replicate(
            _on_common_items(chosen, items, common), varies, wanted, settings
        )
        for wanted, common in tqdm(
            dict.fromkeys(of_groups), desc="comparing", mininterval=2, delay=2
        )
    }
    rows = [
        {"group": group.name} | keys | row
        for group, wanted in zip(groups, of_groups, strict=True)
        for keys, own in members[wanted]
        for row in _compared(group, own, settings)
    ]
    table = pd.DataFrame(rows, columns=COLUMNS)
    if rows:
        table["model"], table["task"] = chosen[["model", "task"]].iloc[0]
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


# --- the items of foreign results -------------------------------------------------------

Items = frozenset[str]


def _items_of_each(foreign: pd.DataFrame) -> dict[str, Items]:
    """Foreign result → its items."""
    return {str(name): frozenset(own["item"]) for name, own in foreign.groupby("condition")}


def _common_items(group: ComparisonSlice, items: Mapping[str, Items]) -> Items | None:
    """The items that all foreign members of a group have; None where it has no such member."""
    own = {name: items[name] for name in group.members if name in items}
    if not own:
        return None
    common = frozenset.intersection(*own.values())
    if not common:
        raise InputError(
            f"comparisons.{group.name}: {' and '.join(own)} have no test item in common; compare "
            "them in groups of their own"
        )
    return common


def _on_common_items(
    chosen: pd.DataFrame, items: Mapping[str, Items], common: Items | None
) -> pd.DataFrame:
    """The results that have these items, on them; None: those made here, on all of theirs."""
    if common is None:
        return chosen[~chosen["condition"].isin(list(items))]
    lacking = [name for name, own in items.items() if not common <= own]
    return chosen[chosen["item"].isin(common) & ~chosen["condition"].isin(lacking)]


# --- members of groups ------------------------------------------------------------------


class _Varies(NamedTuple):
    """Whether results differ between seeds at all, and between draws of demonstrations."""

    seed: bool
    draw: bool

    @classmethod
    def of(cls, members: Sequence[_Varies]) -> _Varies:
        """Whether some of them do."""
        return cls(*(any(values) for values in zip(*members, strict=True)))

    def within(self, other: _Varies) -> bool:
        return self.seed <= other.seed and self.draw <= other.draw

    def of_cube(self, values: Floats) -> Floats:
        """values: (draws, seeds, items), without those that repeat the first."""
        return values[slice(None if self.draw else 1), slice(None if self.seed else 1)]


@dataclass(frozen=True)
class _Member:
    """A result at its chosen steps, with one seed and draw or with all of them.

    varies: over what; it is repeated for what it does not vary over.
    steps: as written in the table.
    strict, loss: (draws, seeds, items); losses are NaN where none was measured.
    means: (samples,) bootstrap means of the accuracy, paired with those of the other members.
    """

    name: str
    varies: _Varies
    steps: str
    strict: Floats
    loss: Floats
    means: Floats

    def as_side(self, side: str, confidence: float) -> dict[str, object]:
        """Its own columns, as the first or the second of a pair."""
        own = self.varies.of_cube(self.strict)
        if _replicates(own) > 1:
            interval = score_interval_over_seeds(own, self.means, confidence)
        else:
            interval = score_interval(own[0, 0], confidence)
        accuracy = in_columns(f"{side}_accuracy", float(own.mean()), interval)
        return {side: self.name, f"{side}_step": self.steps, **accuracy}


def _replicates(values: Floats) -> int:
    """values: (draws, seeds, items)."""
    return len(values) * len(values[0])


def _members_by_replicate(
    chosen: pd.DataFrame,
    varies: Mapping[str, _Varies],
    wanted: _Varies,
    settings: AnalysisSettings,
) -> list[tuple[dict[str, str | None], dict[str, _Member]]]:
    """The members of groups that vary over `wanted`: of each seed and draw, then of all of several.

    Each with its columns `seed` and `draw`.
    """
    names = [name for name, own in varies.items() if own.within(wanted)]
    own = chosen[chosen["condition"].isin(names)]
    return [(keys, _members(rows, varies, settings)) for keys, rows in by_replicate(own)]


def _members(
    chosen: pd.DataFrame, varies: Mapping[str, _Varies], settings: AnalysisSettings
) -> dict[str, _Member]:
    """Result name → member; all have the same items and bootstrap samples."""
    strict = by_item(chosen, "strict", ["condition"])
    cube, names = cube_of(strict), list(strict.columns)
    losses = _losses(chosen, names, cube)
    means = bootstrap_means(cube, settings.bootstrap_samples, settings.seed)
    return {
        name: _Member(
            name=name,
            varies=varies[name],
            steps=written_steps(chosen[chosen["condition"] == name]),
            strict=cube[..., place],
            loss=losses[..., place],
            means=means[:, place],
        )
        for place, name in enumerate(names)
    }


def _losses(chosen: pd.DataFrame, names: Sequence[str], like: Floats) -> Floats:
    """Answer losses of these results, of the shape of `like`; NaN of a result without any."""
    losses = np.full_like(like, math.nan)
    measured = chosen[chosen.groupby("condition")["answer_loss"].transform("count") > 0]
    if len(measured):
        table = by_item(measured, "answer_loss", ["condition"])
        losses[..., [names.index(name) for name in table.columns]] = cube_of(table)
    return losses


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
    losses = _loss_differences(group, own, confidence)
    items = own[0].strict.shape[-1]
    decisions = decide(accuracies, items, settings)
    margins = decide_margin(accuracies, items, group.margin, settings)
    return [
        members[first].as_side("first", confidence)
        | members[second].as_side("second", confidence)
        | _measured(members[first], members[second], accuracy, loss, confidence)
        | decision._asdict()
        | margin
        for (first, second), accuracy, loss, decision, margin in zip(
            group.pairs, accuracies, losses, decisions, margins, strict=True
        )
    ]


def _differences(
    group: ComparisonSlice,
    own: Sequence[_Member],
    values: Sequence[Floats],
    of_one_seed: Callable[[Floats, Floats, float], Difference],
    confidence: float,
) -> list[Difference]:
    """The difference of each pair: over items, and over the seeds and draws that it varies over.

    values: (draws, seeds, items) for each member.
    """
    places = [
        (group.members.index(first), group.members.index(second)) for first, second in group.pairs
    ]
    over_seeds = crossed_differences(np.stack(values, axis=-1), places, confidence)
    return [
        crossed
        if _replicates(_Varies.of([own[first].varies, own[second].varies]).of_cube(values[0])) > 1
        else of_one_seed(values[first][0, 0], values[second][0, 0], confidence)
        for (first, second), crossed in zip(places, over_seeds, strict=True)
    ]


def _loss_differences(
    group: ComparisonSlice, own: Sequence[_Member], confidence: float
) -> list[Difference]:
    """The same of answer losses; NaN where one of the two has none."""
    measured = [member for member in own if not np.isnan(member.loss).any()]
    names = [member.name for member in measured]
    pairs = tuple(pair for pair in group.pairs if set(pair) <= set(names))
    nothing = Interval(math.nan, math.nan)
    absent = Difference(math.nan, nothing, math.nan, math.nan, math.nan, 0)
    if not pairs:
        return [absent] * len(group.pairs)
    part = group.model_copy(update={"members": tuple(names), "pairs": pairs})
    values = [member.loss for member in measured]
    found = _differences(part, measured, values, paired_mean_difference, confidence)
    by_pair = dict(zip(pairs, found, strict=True))
    return [by_pair.get(pair, absent) for pair in group.pairs]


def _measured(
    first: _Member, second: _Member, accuracy: Difference, loss: Difference, confidence: float
) -> dict[str, object]:
    """The measured columns of a pair, before anything is decided."""
    bootstrap = percentile_interval(first.means - second.means, confidence)
    within = Interval(max(accuracy.interval.low, -1.0), min(accuracy.interval.high, 1.0))
    varies = _Varies.of([first.varies, second.varies])
    one, other = varies.of_cube(first.strict), varies.of_cube(second.strict)
    return {
        "items": first.strict.shape[-1],
        **in_columns("difference", accuracy.estimate, within),
        "bootstrap_low": bootstrap.low,
        "bootstrap_high": bootstrap.high,
        "discordant": int(np.count_nonzero(one != other)),
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


def decide_margin(
    differences: Sequence[Difference],
    items: int,
    asked: MarginAsked | None,
    settings: AnalysisSettings,
) -> list[dict[str, object]]:
    """The margin's columns of each pair of one group and seed; none where the group asks nothing.

    One-sided p-values are corrected for their number by Holm, apart from those of the differences.
    `margin_detectable` is the smallest margin that would be shown with `settings.power` if there
    were no difference, at Holm's strictest step.

    differences: one for each pair, of accuracies on the same items.
    """
    if asked is None:
        return [{} for _ in differences]
    test = p_equivalent if asked.both_ways else p_not_worse
    p_values = [test(difference, asked.margin, items) for difference in differences]
    count = sum(not math.isnan(p) for p in p_values)
    level = (1 - settings.confidence) / 2 / max(count, 1)
    return [
        {
            "margin_asks": EQUIVALENT if asked.both_ways else NOT_WORSE,
            "margin": asked.margin,
            "margin_p": p,
            "margin_p_holm": corrected,
            "margin_verdict": verdict_of_margin(
                difference.interval,
                corrected,
                settings.confidence,
                asked.margin,
                asked.both_ways,
            ),
            "margin_detectable": math.nan
            if math.isnan(p)
            else smallest_shown(difference, level, settings.power, items, asked.both_ways),
        }
        for difference, p, corrected in zip(differences, p_values, holm(p_values), strict=True)
    ]


if __name__ == "__main__":
    run_program(main)
