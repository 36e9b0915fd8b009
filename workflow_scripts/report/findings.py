"""Findings in one line each, made from the rows of tables about one model on one task.

A finding claims no more than the verdicts of its rows. `name` writes the name of a result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pandas as pd

from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.config.comparisons import ComparisonGroup
from workflow_scripts.results import formatting as fmt
from workflow_scripts.results.index import ALL, is_shot_count
from workflow_scripts.results.names import baselines_among
from workflow_scripts.results.table_rows import over_seeds
from workflow_scripts.tables.crossover import NO_GAP
from workflow_scripts.tables.verdicts import (
    BETTER,
    EQUIVALENT,
    FORGOTTEN,
    GAINED,
    MORE,
    NOT_SHOWN,
    NOT_WORSE,
    against,
)

Naming = Callable[[str], str]
IsBase = Callable[[str], bool]

POSITIONS = {
    "query": "last token of the question",
    "prompt": "last token before the answer",
    "answer": "answer tokens",
}
# a headline counts the results that differ from another where they are more than this
_NAMED = 6


# --- groups -------------------------------------------------------------------------------


def present_groups(
    groups: Sequence[ComparisonGroup], comparisons: pd.DataFrame
) -> list[ComparisonGroup]:
    """The groups that were compared, each with the members that were.

    comparisons: of one model on one task.
    """
    members = {
        name: set(rows["first"]) | set(rows["second"])
        for name, rows in (comparisons.groupby("group") if len(comparisons) else ())
    }
    return [
        group.model_copy(
            update={"members": tuple(m for m in group.members if m in members[group.name])}
        )
        for group in groups
        if group.name in members
    ]


def seeds_of(rows: pd.DataFrame) -> list[str]:
    """The seeds that a table has rows of."""
    return _levels(rows["seed"])


def draws_of(rows: pd.DataFrame) -> list[str]:
    """The draws of demonstrations that a table has rows of; none where there is one."""
    return _levels(rows["draw"])


def _levels(column: pd.Series) -> list[str]:
    return sorted(set(column.dropna()) - {ALL}, key=int)


def rivals_of(group: ComparisonGroup, baseline: str, is_base: IsBase = is_shot_count) -> list[str]:
    """Members of a group of all pairs that the others are compared with first.

    The baseline, as it is and tuned, the further contexts of teachers, then the base results with
    the most and the fewest shots; the first member where there is none of them.
    """
    shots = [name for name in group.members if is_shot_count(name)]
    contexts = [name for name in group.members if is_base(name) and name not in shots]
    rivals = baselines_among(group.members, baseline)
    wanted = [*rivals, *contexts, *shots[-1:], *shots[:1]]
    return list(dict.fromkeys(wanted)) or [group.members[0]]


def main_comparisons(
    rows: pd.DataFrame, group: ComparisonGroup, baseline: str, is_base: IsBase = is_shot_count
) -> pd.DataFrame:
    """The comparisons that answer the group's question; of all pairs, those with a rival.

    Each is turned so that the rival is second. Base results are compared with each other only in
    a group without trained members: the gap has a section of its own.
    """
    if group.design != "pairs":
        return rows
    turned = pd.concat([against(rows, rival) for rival in rivals_of(group, baseline, is_base)])
    if not all(map(is_base, group.members)):
        turned = turned[~turned["first"].map(is_base).astype(bool)]
    return turned[~turned.index.duplicated()]


def group_headline(
    rows: pd.DataFrame,
    group: ComparisonGroup,
    settings: AnalysisSettings,
    name: Naming = str,
    is_base: IsBase = is_shot_count,
) -> str:
    """What the comparisons of a group show, and which difference they could have shown.

    rows: of comparisons.csv, about the group, of every seed and draw.
    is_base: whether a result is the base model's.
    """
    pooled = over_seeds(rows)
    main = main_comparisons(pooled, group, settings.baseline, is_base)
    start, end = group.members[0], group.members[-1]
    repetitions = fmt.repetitions(len(seeds_of(rows)), len(draws_of(rows)))
    detectable = main
    if group.design == "steps" and len(group.members) > 2:
        is_whole = (pooled["first"] == end) & (pooled["second"] == start)
        shown = _steps_headline(pooled[is_whole], pooled[~is_whole], name)
    else:
        others = pooled.drop(main.index)
        sides = others[["first", "second"]].map(is_base).astype(bool)
        shown = headline(pd.concat([main, others[~sides.all(axis=1)]]), name)
    if group.design == "pairs":
        detectable = main[main["second"] == main["second"].iloc[0]]
    return "; ".join(
        [
            shown,
            *_within_margin(pooled if group.margin else pooled[:0], name),
            *_detectable(detectable, repetitions, settings.power),
        ]
    )


def _within_margin(rows: pd.DataFrame, name: Naming) -> Iterator[str]:
    """`within 2 points: not worse are a than b, c than b; not shown: 1 of 3 pairs`.

    rows: comparisons of a group that asks about a margin.
    """
    tested = rows[rows["margin_p_holm"].notna()]
    if tested.empty:
        return
    shown = tested[tested["margin_verdict"] != NOT_SHOWN]
    words = {NOT_WORSE: "{} not worse than {}", EQUIVALENT: "{} equivalent to {}"}
    told = [
        words[row["margin_verdict"]].format(name(row["first"]), name(row["second"]))
        for row in fmt.rows_of(shown)
    ]
    if len(told) > _NAMED:
        told = [f"{shown['margin_verdict'].iloc[0]}: {len(told)} of {len(tested)} pairs"]
    elif len(shown) < len(tested):
        asked = f"{tested['margin_asks'].iloc[0]} not shown"
        told.append(f"{asked}: {len(tested) - len(shown)} of {fmt.count(len(tested), 'pair')}")
    least = 100 * tested["margin_detectable"].max()
    margin = f"{100 * tested['margin'].iloc[0]:g}"
    yield f"within {margin} points: {', '.join(told)} (detectable margin about {least:.1f} points)"


def headline(rows: pd.DataFrame, name: Naming = str, write: fmt.Write = fmt.points) -> str:
    """`Shown: a > b (+4.2 points [+1.1, +7.3]); not shown: 2 of 3 pairs`.

    rows: comparisons with a difference, its interval, p_holm, verdict and note, over seeds.
    `>` is a verdict of better or more, `<` one of worse or less.
    """
    tested = rows[rows["p_holm"].notna()]
    shown = tested[tested["verdict"] != NOT_SHOWN]
    parts = [f"shown: {_differences(shown, name, write)}"] if len(shown) else []
    if len(rows) == 1 and len(tested) > len(shown):
        row = rows.iloc[0]
        pair = f"{name(row['first'])} and {name(row['second'])} ({_size(rows, write)})"
        parts.append(f"not shown: a difference between {pair}")
    elif len(tested) > len(shown):
        parts.append(f"not shown: {len(tested) - len(shown)} of {len(rows)} pairs")
    untested = rows[rows["p_holm"].isna()]
    for note, own in untested.groupby(untested["note"].fillna("")):
        parts.append(f"no test ({note}): {len(own)} of {fmt.count(len(rows), 'pair')}")
    return fmt.capital("; ".join(parts))


def _steps_headline(whole: pd.DataFrame, steps: pd.DataFrame, name: Naming) -> str:
    """What the whole difference comes to, then its steps."""
    undivided = whole["p_holm"].notna().all() and (whole["verdict"] == NOT_SHOWN).all()
    each = f"Steps: {_lower(headline(steps, name))}"
    nothing = ", so there is no effect to divide among the steps" * bool(undivided)
    return f"Whole effect: {_lower(headline(whole, name))}{nothing}. {each}"


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _differences(shown: pd.DataFrame, name: Naming, write: fmt.Write) -> str:
    """Pairs that share a result and a direction are reported together, in the order of the rows."""
    signs = ["<>"[verdict in (BETTER, MORE)] for verdict in shown["verdict"]]
    left = shown.assign(sign=signs, place=range(len(shown)))
    listed = []
    while len(left):
        bundles = [
            (side, own)
            for side in ("second", "first")
            for _, own in left.groupby([side, "sign"], sort=False)
        ]
        side, own = max(bundles, key=lambda bundle: len(bundle[1]))
        left = left.drop(own.index)
        others = own["first" if side == "second" else "second"]
        who = fmt.listed([name(other) for other in others])
        if len(own) > _NAMED:
            who = fmt.count(len(own), "result")
        sides = {side: name(own[side].iloc[0]), others.name: who}
        told = f"{sides['first']} {own['sign'].iloc[0]} {sides['second']}"
        listed.append((own["place"].min(), f"{told} ({_size(own, write)})"))
    return ", ".join(told for _, told in sorted(listed))


def _size(rows: pd.DataFrame, write: fmt.Write) -> str:
    """A difference with its interval, or the range of several."""
    unit = " points" if write is fmt.points else ""
    if len(rows) > 1:
        ends = rows["difference"].min(), rows["difference"].max()
        return f"{write(ends[0])} to {write(ends[1])}{unit}"
    row = rows.iloc[0]
    interval = fmt.between(row["difference_low"], row["difference_high"], write)
    return f"{write(row['difference'])}{unit} {interval}".rstrip()


def _detectable(rows: pd.DataFrame, repetitions: str, power: float) -> Iterator[str]:
    """The true difference that would be shown with this power."""
    sizes = (100 * rows["detectable"].dropna()).clip(upper=100)
    if sizes.empty:
        return
    low, high = (f"{size:.0f}" if size >= 2 else f"{size:.1f}" for size in (min(sizes), max(sizes)))
    points = low if low == high else f"{low} to {high}"
    sample = [fmt.count(int(rows["items"].iloc[0]), "item")]
    sample += [repetitions] if repetitions else []
    sample.append(f"{fmt.percent(power)} power")
    yield f"detectable difference about {points} points ({', '.join(sample)})"


# --- what was forgotten -------------------------------------------------------------------


def retention_finding(
    rows: pd.DataFrame, name: Naming, task_name: Naming, settings: AnalysisSettings
) -> str:
    """`Forgotten: a on Logic (-4.2 points [-7.3, -1.1]); not shown: 2 of 3; detectable …`.

    rows: of retention.csv, about tasks that were not trained on, over seeds.
    """
    tested = rows[rows["p_holm"].notna()]
    parts = []
    for word in (FORGOTTEN, GAINED):
        shown = tested[tested["verdict"] == word]
        told = [
            f"{name(row['condition'])} on {task_name(row['answered'])} "
            f"({_size(shown.loc[[place]], fmt.points)})"
            for place, row in shown.iterrows()
        ]
        if len(told) > _NAMED:
            told = [f"{len(told)} of {len(rows)}"]
        parts += [f"{word}: {', '.join(told)}"] if told else []
    unshown = int((tested["verdict"] == NOT_SHOWN).sum())
    parts += [f"not shown: {unshown} of {len(rows)}"] if unshown else []
    untested = rows[rows["p_holm"].isna()]
    for note, own in untested.groupby(untested["note"].fillna("")):
        parts.append(f"no test ({note}): {len(own)} of {len(rows)}")
    return fmt.capital("; ".join([*parts, *_detectable(rows, "", settings.power)]))


# --- the gap ------------------------------------------------------------------------------


def gap_finding(gaps: pd.DataFrame, quick: pd.DataFrame, confidence: float, draws: int = 0) -> str:
    """What the demonstrations give the base model, and what the first items alone would say.

    gaps, quick: rows of icl_gap.csv about all test items and about the first few, over all draws.
    draws: how many draws of demonstrations they are means of; 0 for one.
    """
    ordered = gaps.sort_values("shots")
    fewest, most = ordered.iloc[0], ordered.iloc[-1]
    if most["shots"] == 0:
        return f"Asked without demonstrations only: {fmt.share(most['accuracy_strict'])} %"
    undecided = "" if most["decided"] else ", but its interval does not decide it"
    told = (
        f"In-context gap: {_gap(most, confidence)}, from "
        f"{fmt.share(fewest['accuracy_strict'])} % at {fmt.count(fewest['shots'], 'shot')} to "
        f"{fmt.share(most['accuracy_strict'])} % at {most['shots']}{_mean_of(draws)}: "
        f"{_qualifies(most)}{undecided}"
    )
    first = quick.sort_values("shots").tail(1)
    for row in fmt.rows_of(first[first["shots"] > 0]):
        found = _qualifies(row) if row["decided"] else "cannot decide"
        told += f"; on the first {row['items']} items alone: {_gap(row, confidence)}: {found}"
    return told


def context_finding(teacher: str, row: pd.Series, confidence: float, draws: int) -> str:
    """What a teacher's context gives the base model.

    row: of icl_gap.csv. draws: how many it is the mean of.
    """
    return (
        f"In the context of the teacher {teacher}: {_gap(row, confidence)}, to "
        f"{fmt.share(row['accuracy_strict'])} %{_mean_of(draws)}"
    )


def _mean_of(draws: int) -> str:
    return f" (mean of {fmt.count(draws, 'draw')})" if draws else ""


def _gap(row: pd.Series, confidence: float) -> str:
    interval = fmt.between(row["gap_low"], row["gap_high"], fmt.points)
    return f"{fmt.points(row['gap'])} points, {fmt.percent(confidence)} CI {interval}"


def _qualifies(row: pd.Series) -> str:
    return "qualifies" if row["qualifies"] else "does not qualify"


# --- caveats ------------------------------------------------------------------------------


def seeds_caveat(seeds: Sequence[str]) -> str | None:
    """What one or two seeds cannot say; None where there are enough for a test over seeds."""
    if len(seeds) == 1:
        return (
            f"Everything was trained with one seed ({seeds[0]}): differences are about these "
            "trained models, not about other seeds of the same methods."
        )
    if len(seeds) == 2:
        return (
            "Everything was trained with two seeds, too few for a test over seeds: read the "
            "verdicts of each seed."
        )
    return None


def draws_caveat(draws: Sequence[str]) -> str | None:
    """What two draws of demonstrations cannot say; None for one, or for enough."""
    if len(draws) == 2:
        return (
            "Demonstrations were drawn twice, too few for a test over draws: read the verdicts of "
            "each draw."
        )
    return None


def noise_caveat(row: pd.Series, name: Naming = str, scores: fmt.Scores = fmt.ACCURACIES) -> str:
    """What changes when one checkpoint is evaluated twice.

    row: of noise.csv.
    """
    draw = "" if pd.isna(row["draw"]) else f", draw {row['draw']}"
    return (
        f"Evaluated twice, {name(row['condition'])} (seed {row['seed']}{draw}, step {row['step']}) "
        f"changes {int(row['changed_predictions'])} of "
        f"{fmt.count(int(row['items']), 'answer')}, the score of "
        f"{fmt.count(int(row['changed_strict']), 'item')}, {scores.noun} by "
        f"{fmt.points(row['difference'])} points, and the answer loss of an item by "
        f"{row['loss_difference']:.2g} nats on average."
    )


# --- cells --------------------------------------------------------------------------------


def note_of(row: pd.Series) -> str:
    """Why a row of a table lacks a test or a number; empty where it lacks nothing."""
    return "" if pd.isna(row["note"]) else str(row["note"])


def verdict_of(row: pd.Series) -> str:
    """The verdict of a comparison, or why it was not tested."""
    return str(row["verdict"]) if pd.notna(row["p_holm"]) else f"no test: {note_of(row)}"


def margin_cells(row: pd.Series) -> dict[str, str]:
    """What is shown about the margin that a comparison's group asks about; empty without one."""
    if pd.isna(row["margin"]):
        return {}
    p = fmt.or_blank(fmt.p_value)(row["margin_p_holm"])
    untested = pd.isna(row["margin_p_holm"])
    return {
        f"within {100 * row['margin']:g} points": "no test" if untested else row["margin_verdict"],
        "one-sided Holm p": p,
    }


def crossing_step(row: pd.Series, metric: str) -> str:
    """`20 [15, 40]`, `20 [15, never]` where crossing is not sure; `never`; `no gap`.

    row: of crossover.csv.
    """
    if note_of(row) in (NO_GAP, f"{metric}: {NO_GAP}"):
        return "no gap"
    step, low, high = (row[f"{metric}_step{end}"] for end in ("", "_low", "_high"))
    if pd.isna(step) and pd.isna(low):
        return fmt.step(step)
    return f"{fmt.step(step)} [{fmt.step(low)}, {fmt.step(high)}]"


def drift_difference(value: float) -> str:
    return f"{round(value, 3) + 0.0:+.3f}"
