"""What the tables show, in sentences: each is made from rows, and claims what their verdicts show.

Rows are always about one model on one task. Names of results are
written by a function, because the report knows more of them than the terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import pandas as pd

from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.config.comparisons import ComparisonGroup
from workflow_scripts.figures.data import over_seeds
from workflow_scripts.results import formatting as fmt
from workflow_scripts.results.index import ALL_SEEDS
from workflow_scripts.tables.crossover import NO_GAP
from workflow_scripts.tables.drift import ALL_LAYERS
from workflow_scripts.tables.verdicts import BETTER, LESS, MORE, NOT_SHOWN, WORSE, against

Naming = Callable[[str], str]

POSITIONS = {
    "query": "last token of the question",
    "prompt": "last token before the answer",
    "answer": "answer tokens",
}

# of more shown differences only the size is told, of still more only the range
_FULL_EVIDENCE = 2
_SIZES = 6


class Way(NamedTuple):
    """How a verdict is said of one result, and of several."""

    verdict: str
    one: str
    many: str


ACCURACY = (Way(BETTER, "is better", "are better"), Way(WORSE, "is worse", "are worse"))
DRIFT = (Way(LESS, "drifts less", "drift less"), Way(MORE, "drifts more", "drift more"))


# --- groups -----------------------------------------------------------------------------


def group_sentences(
    rows: pd.DataFrame, group: ComparisonGroup, settings: AnalysisSettings, name: Naming = str
) -> list[str]:
    """What the comparisons of a group show, the most important first.

    rows: of comparisons.csv, about the group, of every seed.
    """
    pooled = over_seeds(rows)
    told = pooled
    if group.design == "steps":
        sentences = _steps_sentences(pooled, group, name)
    elif group.design == "first":
        sentences = [_against_sentence(pooled, group.members[0], ACCURACY, fmt.points, name)]
    else:
        sentences = list(_pairs_sentences(pooled, group, settings.baseline, name))
        told = against(pooled, rivals_of(group, settings.baseline)[0])
        told = told[~told["first"].map(is_base)] if len(seeds_of(rows)) else told
    return [*sentences, *_detectable_sentence(told, len(seeds_of(rows)), settings.power)]


def present_groups(
    groups: Sequence[ComparisonGroup], comparisons: pd.DataFrame
) -> list[ComparisonGroup]:
    """The groups that were compared, each with the members that were.

    comparisons: of one model on one task.
    """
    members = {
        name: set(rows["first"]) | set(rows["second"])
        for name, rows in comparisons.groupby("group")
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
    return sorted(set(rows["seed"].dropna()) - {ALL_SEEDS}, key=int)


def rivals_of(group: ComparisonGroup, baseline: str) -> list[str]:
    """Members of a group of all pairs that the others are held against.

    The baseline, then the base results with the most and the fewest shots; the first member
    where there is neither.
    """
    base = [name for name in group.members if is_base(name)]
    rivals = [name for name in group.members if name == baseline]
    return list(dict.fromkeys([*rivals, *base[-1:], *base[:1]])) or [group.members[0]]


def note_of(row: pd.Series) -> str:
    """Why a row of a table lacks a test or a number; empty where it lacks nothing."""
    return "" if pd.isna(row["note"]) else str(row["note"])


def is_base(name: str) -> bool:
    """Whether a result is the base model's: `<k>-shot`."""
    return name.endswith("-shot") and name.removesuffix("-shot").isdigit()


def _pairs_sentences(
    rows: pd.DataFrame, group: ComparisonGroup, baseline: str, name: Naming
) -> Iterator[str]:
    """Trained members against each rival, then what is shown of the pairs that are left."""
    untrained = rows["first"].map(is_base) & rows["second"].map(is_base)
    # the gap between base results has its own section
    left = rows[~untrained] if not untrained.all() else rows
    for rival in rivals_of(group, baseline):
        turned = against(left, rival)
        own = turned[~turned["first"].map(is_base)] if not untrained.all() else turned
        if len(own):
            left = left.drop(own.index)
            yield _against_sentence(own, rival, ACCURACY, fmt.points, name)
    shown = left[left["verdict"] != NOT_SHOWN]
    if len(shown):
        pairs = "; ".join(_pair_in_words(row, name) for _, row in shown.iterrows())
        said = "is" if len(shown) == 1 else "are"
        others = fmt.count(len(left), "other pair")
        yield f"Of {others}, {len(shown)} {said} shown to differ: {pairs}."
    elif len(left) == 1:
        yield "The one other pair is not shown to differ."
    elif len(left):
        yield f"None of the {len(left)} other pairs is shown to differ."


def _pair_in_words(row: pd.Series, name: Naming) -> str:
    return (
        f"{name(row['first'])} is {row['verdict']} than {name(row['second'])} "
        f"({evidence(row, fmt.points)})"
    )


# --- several results against one ----------------------------------------------------------


def _against_sentence(
    rows: pd.DataFrame, rival: str, ways: tuple[Way, Way], write: fmt.Write, name: Naming
) -> str:
    """rows: comparisons whose second is the rival."""
    tested = rows[rows["p_holm"].notna()]
    untested = rows[rows["p_holm"].isna()]
    told = []
    if len(tested) == 1:
        told.append(_alone(tested.iloc[0], rival, ways, write, name))
    elif len(tested):
        told.append(_tally(tested, rival, ways, write, name))
    for note, group in untested.groupby(untested["note"].fillna(""), sort=False):
        firsts = fmt.listed([name(first) for first in group["first"]])
        told.append(f"Not tested against {name(rival)} ({note}): {firsts}.")
    return " ".join(told)


def _alone(
    row: pd.Series, rival: str, ways: tuple[Way, Way], write: fmt.Write, name: Naming
) -> str:
    said = next((way.one for way in ways if way.verdict == row["verdict"]), None)
    said = f"{said} than" if said else "is not shown to differ from"
    return f"{_capital(name(row['first']))} {said} {name(rival)} ({evidence(row, write)})."


def _tally(
    rows: pd.DataFrame, rival: str, ways: tuple[Way, Way], write: fmt.Write, name: Naming
) -> str:
    start = f"Of {fmt.count(len(rows), 'result')} compared with {name(rival)}"
    clauses = []
    for way in ways:
        shown = rows[rows["verdict"] == way.verdict]
        said = way.many if len(shown) > 1 else way.one
        whole = "all" if len(shown) == len(rows) else len(shown) or "none"
        proof = f" ({_shown_evidence(shown, write, name)})" if len(shown) else ""
        clauses.append(f"{whole} {said}{proof}")
        if len(shown) == len(rows):
            return f"{start}, {clauses[-1]}."
    rest = int((rows["verdict"] == NOT_SHOWN).sum())
    if rest == len(rows):
        farthest = max(fmt.rows_of(rows), key=lambda row: abs(row["difference"]))
        return (
            f"{start}, none is shown to differ from it (farthest: {name(farthest['first'])}, "
            f"{evidence(farthest, write)})."
        )
    if rest:
        clauses.append(f"{rest} {'is' if rest == 1 else 'are'} not shown to differ")
    return f"{start}, {fmt.listed(clauses)}."


def _shown_evidence(rows: pd.DataFrame, write: fmt.Write, name: Naming) -> str:
    own = fmt.rows_of(rows)
    if len(own) <= _FULL_EVIDENCE:
        return "; ".join(f"{name(row['first'])}: {evidence(row, write)}" for row in own)
    if len(own) <= _SIZES:
        return ", ".join(f"{name(row['first'])} {write(row['difference'])}" for row in own)
    ends = (rows["difference"].min(), rows["difference"].max())
    return f"by {write(ends[0])} to {write(ends[1])}"


def evidence(row: pd.Series, write: fmt.Write) -> str:
    """Difference, interval and corrected p of a comparison."""
    unit = " points" if write is fmt.points else ""
    interval = fmt.between(row["difference_low"], row["difference_high"], write)
    parts = [f"{write(row['difference'])}{unit} {interval}".rstrip()]
    if pd.notna(row["p_holm"]):
        parts.append(fmt.holm(row["p_holm"]))
    return ", ".join(parts)


# --- the causal reading -------------------------------------------------------------------


def _steps_sentences(rows: pd.DataFrame, group: ComparisonGroup, name: Naming) -> list[str]:
    """What each step adds to the whole difference between the last member and the first."""
    start, end = group.members[0], group.members[-1]
    whole = rows[(rows["first"] == end) & (rows["second"] == start)]
    steps = rows.drop(whole.index) if len(group.members) > 2 else rows
    if whole.empty or steps.empty:
        return []
    if len(group.members) == 2:
        return [_against_sentence(rows, start, ACCURACY, fmt.points, name)]
    overall = whole.iloc[0]
    return [_whole_sentence(overall, name), _parts_sentence(steps, overall, name)]


def _whole_sentence(row: pd.Series, name: Naming) -> str:
    said = {
        BETTER: "is a gain that is shown",
        WORSE: "is a loss that is shown",
        NOT_SHOWN: "is not shown, so there is no effect to divide among its steps",
    }[row["verdict"]]
    if pd.isna(row["p_holm"]):
        said = f"is not tested ({note_of(row)})"
    return (
        f"The whole difference from {_quoted(name(row['second']))} to "
        f"{_quoted(name(row['first']))}, {evidence(row, fmt.points)}, {said}."
    )


def _parts_sentence(steps: pd.DataFrame, whole: pd.Series, name: Naming) -> str:
    """Each step with its interval, those that are shown first."""
    told = {
        verdict: [
            f"{_quoted(name(row['first']))} ({evidence(row, fmt.points)})"
            for _, row in steps[steps["verdict"] == verdict].iterrows()
        ]
        for verdict in (BETTER, WORSE, NOT_SHOWN)
    }
    clauses = [
        f"{said} {'; '.join(told[verdict])}"
        for verdict, said in (
            (BETTER, "a gain is shown of"),
            (WORSE, "a loss is shown of"),
            (NOT_SHOWN, "nothing is shown of"),
        )
        if told[verdict]
    ]
    if len(told[NOT_SHOWN]) == len(steps):
        return f"No single step is shown either: {'; '.join(told[NOT_SHOWN])}."
    of_whole = whole["verdict"] != NOT_SHOWN
    start = f"Of the {fmt.points(whole['difference'])} points" if of_whole else "Step by step"
    return f"{start}, {', and '.join(clauses)}."


def _quoted(text: str) -> str:
    return f"“{text}”"


# --- what such a test could show ------------------------------------------------------------


def _detectable_sentence(rows: pd.DataFrame, seeds: int, power: float) -> Iterator[str]:
    """How large a true difference would have to be."""
    sizes = 100 * rows["detectable"].dropna()
    if sizes.empty:
        return
    low, high = (_size(min(size, 100.0)) for size in (sizes.min(), sizes.max()))
    size = f"{low} points" if low == high else f"{low} to {high} points, depending on the pair,"
    of_seeds = f" and {fmt.count(seeds, 'seed')}" if seeds else ""
    yield (
        f"With {fmt.count(int(rows['items'].iloc[0]), 'item')}{of_seeds} a true difference of "
        f"about {size} would be shown with {fmt.percent(power)} power."
    )


def _size(points: float) -> str:
    return f"{points:.0f}" if points >= 2 else f"{points:.1f}"


# --- the gap ------------------------------------------------------------------------------


def gap_sentence(gaps: pd.DataFrame, confidence: float) -> str:
    """What the demonstrations give the base model.

    gaps: rows of icl_gap.csv about one sample of the test items.
    """
    ordered = gaps.sort_values("shots")
    fewest, most = ordered.iloc[0], ordered.iloc[-1]
    if most["shots"] == 0:
        return f"Asked without demonstrations only: {fmt.share(most['accuracy_strict'])} %"
    undecided = "" if most["decided"] else ", but its interval does not decide it"
    return (
        f"In-context gap: {_gap(most, confidence)}, from "
        f"{fmt.share(fewest['accuracy_strict'])} % at {fmt.count(fewest['shots'], 'shot')} to "
        f"{fmt.share(most['accuracy_strict'])} % at {most['shots']}: "
        f"{_qualifies(most)}{undecided}"
    )


def quick_look_sentence(gaps: pd.DataFrame, confidence: float) -> str:
    """The same of the first few items alone."""
    most = gaps.sort_values("shots").iloc[-1]
    found = _qualifies(most) if most["decided"] else "cannot decide"
    return f"On the first {most['items']} items alone: {_gap(most, confidence)}: {found}"


def _gap(row: pd.Series, confidence: float) -> str:
    interval = fmt.between(row["gap_low"], row["gap_high"], fmt.points)
    return f"{fmt.points(row['gap'])} points, {fmt.percent(confidence)} CI {interval}"


def _qualifies(row: pd.Series) -> str:
    return "qualifies" if row["qualifies"] else "does not qualify"


# --- training -----------------------------------------------------------------------------


def crossover_sentence(
    row: pd.Series, name: Naming = str, scores: fmt.Scores = fmt.ACCURACIES
) -> str:
    """When a condition overtakes the base model with the most demonstrations.

    row: of crossover.csv.
    """
    reference = (
        f"{name(row['reference'])} ({fmt.loss(row['reference_loss'])} nats, "
        f"{fmt.share(row['reference_accuracy'])} % "
        f"{'correct' if scores == fmt.ACCURACIES else scores.strict})"
    )
    if note_of(row) == NO_GAP:
        return f"There is {NO_GAP}: {reference} is no better than without demonstrations."
    by = [
        f"by {noun} {_when(row, f'{measure}_step')}"
        for measure, noun in (("loss", "loss"), ("accuracy", scores.noun))
        if not no_gap(row, measure)
    ]
    return f"{_capital(name(row['condition']))} overtakes {reference} {fmt.listed(by)}."


def no_gap(row: pd.Series, measure: str) -> bool:
    """Whether demonstrations gain nothing in this measure, so that there is nothing to overtake."""
    return note_of(row) in (NO_GAP, f"{measure}: {NO_GAP}")


def _when(row: pd.Series, column: str) -> str:
    step = crossing_step(row, column)
    if pd.notna(row[column]):
        return f"at step {step}"
    return step.replace(fmt.NEVER, f"{fmt.NEVER} in {row['last_step']:.0f} steps", 1)


def crossing_step(row: pd.Series, column: str) -> str:
    """`20 [15, 40]`, `20 [15, never]` where crossing is not sure; `never`."""
    step, low, high = row[column], row[f"{column}_low"], row[f"{column}_high"]
    if pd.isna(step) and pd.isna(low):
        return fmt.step(step)
    return f"{fmt.step(step)} [{fmt.step(low)}, {fmt.step(high)}]"


def gap_reduction_sentence(row: pd.Series, name: Naming = str) -> str:
    """How much of the in-context gap a condition closes.

    row: of optimisation.csv.
    """
    if pd.isna(row["gap_reduction"]):
        return f"How much of the gap {name(row['condition'])} closes is not told: {note_of(row)}."
    closed = fmt.with_interval(row, "gap_reduction", fmt.whole_percent)
    return f"At its chosen checkpoint {name(row['condition'])} closes {closed} % of the gap."


# --- representations ----------------------------------------------------------------------


def drift_sentences(comparisons: pd.DataFrame, name: Naming = str) -> list[str]:
    """Whether distillation drifts less than the baseline, at each position.

    comparisons: rows of drift_comparisons.csv.
    """
    rows = comparisons[comparisons["layer"].astype(str) == ALL_LAYERS]
    told = []
    for position, own in rows.groupby("position", sort=False):
        rival = str(own["second"].iloc[0])
        sentence = _against_sentence(own, rival, DRIFT, drift_difference, name)
        told.append(f"At the {POSITIONS[str(position)]}: {sentence[:1].lower()}{sentence[1:]}")
    return told


def drift_difference(value: float) -> str:
    return f"{round(value, 3) + 0.0:+.3f}"


def most_drifting_sentences(drift: pd.DataFrame, name: Naming = str) -> list[str]:
    """Which layers of a condition drift most, at its last checkpoint and each position.

    drift: rows of drift.csv about one condition.
    """
    last = drift[drift["step"] == drift["step"].max()]
    sentences = []
    for position, rows in last.groupby("position", sort=False):
        top = rows.nlargest(3, "drift")
        layers = fmt.listed([str(layer) for layer in top["layer"]])
        amounts = fmt.listed([f"{value:.2g}" for value in top["drift"]])
        sentences.append(
            f"In {name(rows['condition'].iloc[0])}, at the {POSITIONS[str(position)]}, layers "
            f"{layers} of {rows['layer'].min()} to {rows['layer'].max()} drift most ({amounts})."
        )
    return sentences


# --- noise and caveats --------------------------------------------------------------------


def noise_sentence(row: pd.Series, name: Naming = str, scores: fmt.Scores = fmt.ACCURACIES) -> str:
    """What changes when one checkpoint is evaluated twice.

    row: of noise.csv.
    """
    changed, rescored = int(row["changed_predictions"]), int(row["changed_strict"])
    return (
        f"{_capital(name(row['condition']))} (seed {row['seed']}, step {row['step']}) was "
        f"evaluated twice on {fmt.count(int(row['items']), 'test item')}: "
        f"{fmt.count(changed, 'answer')} {'differs' if changed == 1 else 'differ'}, and "
        f"{fmt.count(rescored, 'item')} {'is' if rescored == 1 else 'are'} scored otherwise; "
        f"{scores.noun} moves by {fmt.points(row['difference'])} points and the answer loss of "
        f"an item by {row['loss_difference']:.2g} nats on average."
    )


def seeds_sentence(seeds: Sequence[str]) -> str | None:
    """What so few seeds cannot say; nothing where there are enough for a test over them."""
    if len(seeds) == 1:
        return (
            f"Everything was trained with one seed ({seeds[0]}): differences are about these "
            "trained models, and nothing is said about other seeds of the same methods."
        )
    if len(seeds) == 2:
        return (
            "Everything was trained with two seeds, too few for a test over seeds: read the "
            "verdicts of each seed."
        )
    return None


def _capital(text: str) -> str:
    """Words begin a sentence with a capital, names from the config as they are."""
    return text[:1].upper() + text[1:] if " " in text else text
