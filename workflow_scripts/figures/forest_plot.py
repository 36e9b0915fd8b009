"""Figure: the members of a group at their chosen and last checkpoints, with verdicts in words."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from workflow_scripts.figures import style
from workflow_scripts.figures.data import GroupData, GroupSubject
from workflow_scripts.results import formatting as fmt
from workflow_scripts.results.index import REPLICATE
from workflow_scripts.results.names import baselines_among
from workflow_scripts.results.table_rows import chosen_results, is_pooled
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.tables.verdicts import NOT_SHOWN, against

# what a row of the table is about
CHOSEN, LAST, REFERENCE, DIFFERENCE = "chosen", "last", "reference", "difference"
# of each seed and draw, where there are several draws
EACH = "each"

_VALUES = ["value", "low", "high"]
_ACCURACY = ["accuracy_strict", "accuracy_strict_low", "accuracy_strict_high"]
_UNTRAINED = style.ConditionStyle(style.REFERENCE_COLOUR, "h", "-", filled=True)
# inches
_ROW_HEIGHT = 0.46
_PANEL_WIDTH = 3.2
_GAP = 0.25


Row = Mapping[Hashable, Any]


class Mark(NamedTuple):
    """How a checkpoint is drawn; `below` the middle of its row, in rows."""

    label: str
    filled: bool
    size: float
    line: float
    below: float


_MARKS = {
    CHOSEN: Mark("chosen checkpoint", True, 7, 1.6, 0.0),
    LAST: Mark("last checkpoint", False, 5, 0.8, 0.22),
}


class Column(NamedTuple):
    """Verdicts of members, each against its rival."""

    title: str
    rivals: Mapping[str, str]


class Lines(NamedTuple):
    """A label or verdict, and smaller below it what belongs to it."""

    upper: str
    lower: str
    strong: bool = False


def columns_of(subject: GroupSubject) -> list[Column]:
    """The columns of verdicts: all pairs of the design, or for `pairs` the main ones.

    Those are the pairs with the baseline, as it is and tuned, the most shots and the contexts of
    teachers where they are members, else with the first member.
    """
    start, *others = members = subject.group.members
    if subject.group.design == "steps":
        steps = Column("against\nthe row above", dict(zip(others, members, strict=False)))
        whole = [_against(start, members[-1:], subject)] if len(others) > 1 else []
        return [steps, *whole]
    rivals = [start]
    if subject.group.design == "pairs":
        contexts = subject.references[1:] or subject.references
        wanted = dict.fromkeys((*baselines_among(members, subject.baseline), *contexts))
        rivals = [name for name in wanted if name in members] or rivals
    return [_against(rival, members, subject) for rival in rivals]


def _against(rival: str, members: Sequence[str], subject: GroupSubject) -> Column:
    rivals = {member: rival for member in members if member != rival}
    return Column(f"against\n{subject.text_of(rival)}", rivals)


# --- the table ----------------------------------------------------------------------------


def table(data: GroupData) -> pd.DataFrame:
    """A row for each thing drawn: what it is (`shown`), of which member, its value and interval.

    `chosen`, `last`, `reference`: strict accuracy on test; a reference is the base model.
    `each`: a member's chosen checkpoint in each seed and draw, where there are several draws.
    `difference`: of the member's accuracy from the rival's, with its verdict.
    Raises InputError when nothing is compared.
    """
    subject, group = data.subject, data.subject.group
    if data.comparisons.empty:
        raise InputError(f"{subject.model} {subject.task}: group {group.name}: no comparison")
    rows = pd.concat(
        [
            _chosen(data, data.comparisons).assign(shown=CHOSEN),
            _last(data),
            _references(data),
            *_each(data),
            *_differences(data),
        ],
        ignore_index=True,
    )
    names = {"model": subject.model, "task": subject.task, "group": group.name}
    rows["text"] = rows["member"].map(subject.text_of)
    kept = ["shown", "member", "text", *REPLICATE, "step", "rival", *_VALUES, "verdict", "note"]
    return rows.assign(**names)[[*names, *kept]]


def _chosen(data: GroupData, comparisons: pd.DataFrame) -> pd.DataFrame:
    """comparisons: of one seed and draw, or of all."""
    chosen = chosen_results(comparisons).set_axis(["member", "step", *_VALUES], axis=1)
    ordered = chosen.set_index("member").loc[list(data.subject.group.members)].reset_index()
    return ordered.assign(**comparisons[REPLICATE].iloc[0])


def _each(data: GroupData) -> Iterator[pd.DataFrame]:
    """The points of each seed and draw; none where there is one draw."""
    each = data.each_comparison
    if each["draw"].notna().any():
        for _, own in each[~is_pooled(each)].groupby(REPLICATE, dropna=False):
            yield _chosen(data, own).assign(shown=EACH)


def _last(data: GroupData) -> pd.DataFrame:
    runs = data.test_summary[data.test_summary["condition"].isin(data.subject.trained)]
    last = runs.groupby("condition")["step"].transform("max")
    return _accuracies(runs[runs["step"] == last]).assign(shown=LAST)


def _references(data: GroupData) -> pd.DataFrame:
    base = data.test_summary["condition"].isin(data.subject.references)
    return _accuracies(data.test_summary[base]).assign(shown=REFERENCE)


def _accuracies(rows: pd.DataFrame) -> pd.DataFrame:
    columns = ["member", *REPLICATE, "step", *_VALUES]
    drawn = rows[["condition", *REPLICATE, "step", *_ACCURACY]].set_axis(columns, axis=1)
    return drawn.astype({"step": "string"})


def _differences(data: GroupData) -> Iterator[pd.DataFrame]:
    names = {"first": "member", "second": "rival"}
    names |= {"difference": "value", "difference_low": "low", "difference_high": "high"}
    kept = [*names.values(), *REPLICATE, "verdict", "note"]
    for column in columns_of(data.subject):
        for member, rival in column.rivals.items():
            turned = against(data.comparisons, rival)
            row = turned[turned["first"] == member].rename(columns=names)
            yield row[kept].assign(shown=DIFFERENCE)


# --- drawing ------------------------------------------------------------------------------


def draw(table: pd.DataFrame, subject: GroupSubject) -> Figure:
    """A row for each member in the order of the config, and a column of verdicts for each rival."""
    rows = table.to_dict("records")
    single = [row for row in rows if row["shown"] not in (DIFFERENCE, EACH)]
    accuracies = {(row["shown"], row["member"]): row for row in single}
    differences = {(row["member"], row["rival"]): row for row in rows if row["shown"] == DIFFERENCE}
    members, columns = subject.group.members, columns_of(subject)
    labels = [_label(accuracies[CHOSEN, member], subject) for member in members]
    texts = [[_verdict(column, differences, member) for member in members] for column in columns]
    widths = [_PANEL_WIDTH]
    for column, lines in zip(columns, texts, strict=True):
        title = style.width_of(column.title.split("\n"), style.TITLE)
        widths.append(_GAP + max(_width(lines), title))
    figure = style.new_figure(
        subject,
        f"{subject.group.name}: {subject.scores.strict} on test",
        _width(labels) + _GAP + sum(widths),
        1.6 + _ROW_HEIGHT * len(members),
    )
    points, *sides = figure.subplots(1, len(widths), sharey=True, width_ratios=widths)
    handles = _draw_references(points, accuracies, subject)
    _draw_each(points, table[table["shown"] == EACH], subject)
    _draw_members(points, accuracies, subject)
    points.set_yticks(range(len(members)), [""] * len(members))
    points.set_ylim(len(members) - 0.5, -0.5)
    _write(points, labels, -0.03, "right")
    for axes, column, lines in zip(sides, columns, texts, strict=True):
        axes.set_axis_off()
        axes.set_title(column.title)
        _write(axes, lines, 0.0, "left")
    style.legend_below(figure, [*handles, *map(_legend_entry, _MARKS.values())])
    return figure


def _width(lines: Sequence[Lines]) -> float:
    upper = style.width_of((line.upper for line in lines), style.TEXT)
    return max(upper, style.width_of((line.lower for line in lines), style.SMALL))


def _label(chosen: Row, subject: GroupSubject) -> Lines:
    """The label of a row, and below it the chosen step."""
    step = f"step {chosen['step']}" if chosen["member"] in subject.conditions else ""
    return Lines(chosen["text"], step)


def _verdict(column: Column, differences: Mapping[tuple[str, str], Row], member: str) -> Lines:
    """The verdict on a member against its rival; nothing where it has none.

    A comparison that was not tested has a note, `<reason>: <details>`, instead of a verdict.
    """
    if member not in column.rivals:
        return Lines("—" if member in column.rivals.values() else "", "")
    row = differences[member, column.rivals[member]]
    said: str = row["verdict"] if pd.isna(row["note"]) else row["note"].partition(":")[0]
    interval = fmt.between(row["low"], row["high"], fmt.points)
    difference = f"{fmt.points(row['value'])} {interval}".rstrip()
    return Lines(said, difference, strong=row["verdict"] != NOT_SHOWN)


def _draw_references(
    axes: Axes, accuracies: Mapping[tuple[str, str], Row], subject: GroupSubject
) -> list[Line2D]:
    return [
        axes.axvline(
            accuracies[REFERENCE, reference]["value"],
            color=style.REFERENCE_COLOUR,
            linestyle=line,
            label=reference,
        )
        for reference, line in zip(subject.references, style.REFERENCE_LINES.values(), strict=False)
    ]


def _draw_members(
    axes: Axes, accuracies: Mapping[tuple[str, str], Row], subject: GroupSubject
) -> None:
    looks = _looks(subject)
    for place, member in enumerate(subject.group.members):
        look = looks.get(member, _UNTRAINED)
        for shown, mark in _MARKS.items():
            row = accuracies.get((shown, member))
            if row is not None:
                _draw_point(axes, row, place + mark.below, look, mark)
    axes.xaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
    axes.set_xlabel(subject.scores.strict)


def _looks(subject: GroupSubject) -> dict[str, style.ConditionStyle]:
    coloured = (*subject.conditions, *subject.foreign)
    members = [name for name in subject.group.members if name in coloured]
    return style.member_styles(members, coloured)


def _draw_each(axes: Axes, each: pd.DataFrame, subject: GroupSubject) -> None:
    """A tick of the member's colour for each of its seeds and draws."""
    looks = _looks(subject)
    for place, member in enumerate(subject.group.members):
        own = each.loc[each["member"] == member, "value"].drop_duplicates()
        colour = looks.get(member, _UNTRAINED).color
        axes.plot(own, [place] * len(own), "|", color=colour, alpha=0.6, markersize=9)


def _draw_point(axes: Axes, row: Row, place: float, look: style.ConditionStyle, mark: Mark) -> None:
    axes.errorbar(
        row["value"],
        place,
        xerr=[[row["value"] - row["low"]], [row["high"] - row["value"]]],
        color=look.color,
        marker=look.marker,
        markerfacecolor=look.color if mark.filled else "white",
        markersize=mark.size,
        linewidth=mark.line,
        capsize=3,
    )


def _legend_entry(mark: Mark) -> Line2D:
    return Line2D(
        [],
        [],
        color="black",
        marker="o",
        markerfacecolor="black" if mark.filled else "white",
        markersize=mark.size,
        linewidth=mark.line,
        label=mark.label,
    )


def _write(axes: Axes, lines: Sequence[Lines], x: float, side: Literal["left", "right"]) -> None:
    """One entry in each row, from the left edge of the panel on or up to it."""
    place = axes.get_yaxis_transform()
    for row, (upper, lower, strong) in enumerate(lines):
        axes.text(
            x,
            row,
            upper,
            ha=side,
            va="bottom" if lower else "center",
            weight="bold" if strong else "normal",
            transform=place,
        )
        axes.text(
            x,
            row + 0.06,
            lower,
            ha=side,
            va="top",
            size=style.SMALL,
            color=style.REFERENCE_COLOUR,
            transform=place,
        )
