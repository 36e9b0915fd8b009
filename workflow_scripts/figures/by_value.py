"""Metrics of a group's members by the number that a sweep varies: a line for each recipe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator

from workflow_scripts.figures import style
from workflow_scripts.figures.data import GroupSubject
from workflow_scripts.results.index import is_shot_count
from workflow_scripts.results.names import (
    is_transferred,
    recipe_of,
    shots_after,
    source_of,
    swept_field,
    transferred,
)
from workflow_scripts.results.statistics import Floats

IN_CONTEXT = "in-context learning"
# axis labels of fields of the config; others have their own words
FIELDS = {
    "train_items": "labelled examples",
    "alpha": "α",
    "adapter.rank": "rank of the adapters",
    "weight": "weight λ",
}

_UNTRAINED = style.ConditionStyle(style.REFERENCE_COLOUR, "h", "-", filled=True)
# between lines at one number, so that their intervals can be told apart: a share of the axis
_APART = 0.008
# numbers that span a larger factor are on a logarithmic axis
_WIDE = 10


def by_value(members: pd.DataFrame, subject: GroupSubject) -> pd.DataFrame:
    """Measured members with their numbers and their lines.

    The variants of a condition share a line, and so do all base results. A member without a number
    has no line, nor has the base model without demonstrations.

    members: `member`, `value`, `low`, `high` and other columns, in any order.
    Returns them in the order of the group, with their names, `text`, `line` and `number`.
    """
    numbers = {
        name: value for name, value in subject.values.items() if value or name in subject.conditions
    }
    order = {name: place for place, name in enumerate(subject.group.members)}
    rows = members.sort_values("member", key=lambda names: names.map(order), kind="stable")
    number = rows["member"].map(numbers).astype(float)
    keys = {
        "model": subject.model,
        "task": subject.task,
        "group": subject.group.name,
        "member": rows["member"],
        "text": rows["member"].map(subject.text_of),
        "line": rows["member"].map(_line_of).where(number.notna()),
        "number": number,
    }
    table = pd.DataFrame(keys, index=rows.index).join(rows.drop(columns="member"))
    return table.reset_index(drop=True)


def _line_of(member: str) -> str:
    if is_transferred(member):
        return transferred(recipe_of(member), source_of(member), shots_after(member))
    return IN_CONTEXT if is_shot_count(member) else recipe_of(member)


# --- drawing ------------------------------------------------------------------------------


def draw_by_value(
    axes: Axes, table: pd.DataFrame, numbers: Iterable[float], subject: GroupSubject
) -> None:
    """A line with intervals for each recipe, a level one for each member without a number.

    table: as `by_value` returns it. numbers: of all members, also of those in other panels.
    """
    places = _value_axis(axes, sorted(set(numbers)), subject)
    for row in table[table["number"].isna()].to_dict("records"):
        look = _level_line(row["member"], subject)
        axes.axhspan(row["low"], row["high"], color=look["color"], alpha=style.BAND, linewidth=0)
        axes.axhline(row["value"], **look)
    lines = list(table.groupby("line", sort=False))
    for place, (_, rows) in enumerate(lines):
        own = rows.sort_values("number")
        aside = _APART * (place - (len(lines) - 1) / 2) * np.ptp(places)
        scale = axes.xaxis.get_transform()
        axes.errorbar(
            scale.inverted().transform(scale.transform(own["number"].to_numpy()) + aside),
            own["value"],
            yerr=[own["value"] - own["low"], own["high"] - own["value"]],
            capsize=3,
            elinewidth=1,
            **_marks(own["member"].iloc[0], subject),
        )


def legend_of(table: pd.DataFrame, subject: GroupSubject) -> list[Line2D]:
    """A legend entry for each line, those of recipes first."""
    lines = table.dropna(subset="line").drop_duplicates("line")
    named = [
        Line2D([], [], label=line, **_marks(member, subject))
        for line, member in zip(lines["line"], lines["member"], strict=True)
    ]
    others = table.loc[table["number"].isna(), "member"].unique()
    return [*named, *(Line2D([], [], **_level_line(member, subject)) for member in others)]


def new_figure(subject: GroupSubject, title: str, panels: int) -> Figure:
    """An empty figure with this number of panels side by side."""
    width = 5.6 if panels == 1 else 4.2 * panels
    return style.new_figure(subject, f"{subject.group.name}: {title}", width, 4.2)


def _value_axis(axes: Axes, numbers: Sequence[float], subject: GroupSubject) -> Floats:
    """The numbers of members, logarithmic where they span a factor of more than ten.

    numbers: increasing. Returns their places along the axis.
    """
    if numbers[0] > 0 and numbers[-1] / numbers[0] > _WIDE:
        axes.set_xscale("log", base=2)
    places: Floats = axes.xaxis.get_transform().transform(np.asarray(numbers, dtype=float))
    kept = [numbers[index] for index in style.apart(places, least=1 / 14)]
    axes.xaxis.set_major_locator(FixedLocator(kept))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:g}")
    field = next(filter(None, map(swept_field, subject.group.members)))
    axes.set_xlabel(FIELDS.get(field, field.replace("_", " ").replace(".", " ")))
    return places


def _marks(member: str, subject: GroupSubject) -> dict[str, Any]:
    """How the line of a member is drawn."""
    look = _UNTRAINED
    if member in subject.conditions:
        look = style.condition_styles(subject.conditions)[member]
    filled = not is_transferred(member)
    return {
        "color": look.color,
        "marker": look.marker,
        "linestyle": ":" if shots_after(member) else look.line,
        "markerfacecolor": look.color if filled else "white",
    }


def _level_line(member: str, subject: GroupSubject) -> dict[str, Any]:
    """Style and label of a member without a number."""
    color, line = style.REFERENCE_COLOUR, "-."
    if member in subject.conditions:
        color, line = style.condition_styles(subject.conditions)[member].color, "--"
    references = dict(zip(subject.references, style.REFERENCE_LINES.values(), strict=False))
    return {
        "color": color,
        "linestyle": references.get(member, line),
        "label": subject.text_of(member),
    }
