"""Metrics of hidden states by layer and step: a heat map for each trained member of a group."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from workflow_scripts.figures import style
from workflow_scripts.figures.data import GroupData, GroupSubject
from workflow_scripts.results.index import REPLICATE
from workflow_scripts.runtime.errors import InputError

_KEYS = ["model", "task", "group", "member", "text", *REPLICATE]
_KEYS += ["position", "step", "layer", "items"]
# panels side by side: more would be too small on a phone
_COLUMNS = 4
# inches, and letters of a title that fit in them
_PANEL_WIDTH, _PANEL_HEIGHT = 1.75, 2.3
_LETTERS = 21


class Scale(NamedTuple):
    """How a metric is coloured.

    metric: a column of the table that has `_low` and `_high`.
    """

    metric: str
    label: str
    norm: Normalize
    colours: str
    extend: str


def by_layer(data: GroupData, metric: str, others: Sequence[str] = ()) -> pd.DataFrame:
    """A metric of the trained members with its interval, in the order of the group.

    metric, others: columns of the drift table; the first has `_low` and `_high`.
    Raises InputError when nothing was measured.
    """
    subject = data.subject
    table = data.drift.rename(columns={"condition": "member"})
    parts = [table[table["member"] == name] for name in subject.trained]
    measured = pd.concat([table.head(0), *parts], ignore_index=True).dropna(subset=metric)
    if measured.empty:
        group = f"{subject.model} {subject.task}: group {subject.group.name}"
        raise InputError(f"{group}: no {metric} of its members was measured")
    named = measured.assign(group=subject.group.name, text=measured["member"].map(subject.text_of))
    return named[[*_KEYS, metric, f"{metric}_low", f"{metric}_high", *others]]


def draw_by_layer(table: pd.DataFrame, subject: GroupSubject, title: str, scale: Scale) -> Figure:
    """Layer by step for each member in shared colours, and the last step by layer as lines.

    A block of panels for each position.
    """
    members = list(dict.fromkeys(table["member"]))
    positions = list(dict.fromkeys(table["position"]))
    rows = math.ceil((len(members) + 1) / _COLUMNS)
    columns = math.ceil((len(members) + 1) / rows)
    height = 1.2 + _PANEL_HEIGHT * rows * len(positions)
    figure = style.new_figure(
        subject, f"{subject.group.name}: {title}", 1.4 + _PANEL_WIDTH * columns, height
    )
    grid = figure.subplots(rows * len(positions), columns, sharey=True, squeeze=False)
    lasts = []
    for block, position in zip(np.split(grid, len(positions)), positions, strict=True):
        lasts.append(_draw_block(block, table[table["position"] == position], subject, scale))
        for axes in block[:, 0]:
            axes.set_ylabel(f"layer, at {position}")
    for axes in lasts[1:]:
        axes.sharex(lasts[0])
    bar = ScalarMappable(scale.norm, scale.colours)
    figure.colorbar(bar, ax=figure.axes, label=scale.label, extend=scale.extend, aspect=40)
    style.legend_below(figure, lasts[0].get_lines())
    return figure


def _draw_block(
    block: NDArray[Any], table: pd.DataFrame, subject: GroupSubject, scale: Scale
) -> Axes:
    """A map for each member, then the panel of lines, which is returned; no others are left."""
    members = list(dict.fromkeys(table["member"]))
    looks = style.member_styles(members, subject.conditions)
    panels: list[Axes] = list(block.ravel())
    last = panels[len(members)]
    for axes, member in zip(panels, members, strict=False):
        rows = table[table["member"] == member]
        _draw_map(axes, rows, scale)
        _title(axes, subject.text_of(member))
        _draw_last_step(last, rows, scale.metric, looks[member], subject.text_of(member))
    _title(last, "at the last step")
    for axes in block[-1]:
        axes.set_xlabel("optimizer step")
    last.set_xlabel(scale.label)
    last.yaxis.set_major_locator(MaxNLocator(integer=True))
    for axes in panels[len(members) + 1 :]:
        axes.remove()
    return last


def _draw_map(axes: Axes, rows: pd.DataFrame, scale: Scale) -> None:
    """Steps side by side at equal width, layers from the first at the bottom to the last."""
    values = rows.pivot(index="layer", columns="step", values=scale.metric)
    layers = np.arange(values.index.min(), values.index.max() + 2) - 0.5
    steps = np.arange(len(values.columns) + 1, dtype=np.float64) - 0.5
    # as pixels also in SVG: a path for each cell would make the page several times larger
    axes.pcolormesh(
        steps,
        layers,
        values.reindex(layers[1:] - 0.5),
        norm=scale.norm,
        cmap=scale.colours,
        rasterized=True,
    )
    kept = style.apart(steps[1:], least=1 / 7)
    axes.set_xticks(kept, [f"{values.columns[index]:g}" for index in kept])
    axes.tick_params(labelsize=style.SMALL)
    axes.grid(False)
    axes.set_facecolor(style.MISSING_COLOUR)


def _draw_last_step(
    axes: Axes, rows: pd.DataFrame, metric: str, look: style.ConditionStyle, label: str
) -> None:
    own = rows[rows["step"] == rows["step"].max()].sort_values("layer")
    low, high = own[f"{metric}_low"], own[f"{metric}_high"]
    axes.fill_betweenx(own["layer"], low, high, color=look.color, alpha=style.BAND, linewidth=0)
    axes.plot(
        own[metric],
        own["layer"],
        color=look.color,
        linestyle=look.line,
        marker=look.marker,
        markersize=4,
        markevery=0.25,
        label=label,
    )
    axes.tick_params(labelsize=style.SMALL)


def _title(axes: Axes, text: str) -> None:
    """In lines; a long name breaks before what makes it a variant or a transferred result."""
    if len(text) > _LETTERS:
        text = re.sub("([~@])", r" \1", text)
    axes.set_title("\n".join(textwrap.wrap(text, _LETTERS)), fontsize=style.TEXT)
