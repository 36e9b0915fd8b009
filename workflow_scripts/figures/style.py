"""One look for all figures: colours, markers, references, axes, and files that reproduce."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.textpath import TextPath
from matplotlib.ticker import FixedLocator, NullLocator, PercentFormatter

from workflow_scripts.figures.data import Subject
from workflow_scripts.results.names import is_main, recipe_of
from workflow_scripts.results.statistics import Floats
from workflow_scripts.runtime.files import atomic_file

# Okabe and Ito (2008), distinguishable with any colour vision; yellow last, weak on white
PALETTE = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#E69F00",
    "#000000",
    "#F0E442",
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
# of the first, second, … round through the palette
LINES = ("-", "--", "-.", ":")
REFERENCE_COLOUR = "#707070"
MISSING_COLOUR = "#F2F2F2"
REFERENCE_LINES = {"fewest": ":", "most": "--", "context": "-."}
BAND = 0.12
# points
TITLE, TEXT, SMALL = 11, 10, 8.5
_POINTS_PER_INCH = 72
# inches: a line beside its label, with the space around both, and the height of an entry
_LEGEND_LINE, _LEGEND_ROW = 0.75, 0.21

_SETTINGS: dict[Any, Any] = {
    "figure.constrained_layout.use": True,
    "figure.dpi": 100,
    "savefig.dpi": 150,
    "font.family": ["DejaVu Sans", "sans-serif"],
    "font.size": TEXT,
    # a dollar in a label is a dollar
    "text.parse_math": False,
    "axes.titlesize": TITLE,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "figure",
}


class ConditionStyle(NamedTuple):
    color: str
    marker: str
    line: str
    filled: bool


@contextmanager
def applied() -> Iterator[None]:
    """Inside the block, figures are made and saved in this style; it restores other settings."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        yield


def condition_styles(conditions: Sequence[str]) -> dict[str, ConditionStyle]:
    """Colour, marker and line of each condition, fixed by its place in the config.

    Variants of a sweep and transferred results look like their condition, with hollow markers.
    """
    recipes = list(dict.fromkeys(map(recipe_of, conditions)))
    return {name: _style(recipes.index(recipe_of(name)), is_main(name)) for name in conditions}


def _style(place: int, filled: bool) -> ConditionStyle:
    return ConditionStyle(
        PALETTE[place % len(PALETTE)],
        MARKERS[place % len(MARKERS)],
        LINES[place // len(PALETTE) % len(LINES)],
        filled,
    )


def member_styles(members: Sequence[str], conditions: Sequence[str]) -> dict[str, ConditionStyle]:
    """Looks that tell members of a group apart: a main condition keeps its own.

    Variants and transferred results, which elsewhere look like their condition, take those that
    are left, in order.
    """
    own = condition_styles(conditions)
    kept = {name: own[name] for name in members if is_main(name)}
    looks = (_style(place, filled=True) for place in count())
    left = (look for look in looks if look not in kept.values())
    return {name: kept.get(name) or next(left) for name in members}


def new_figure(subject: Subject, title: str, width: float, height: float) -> Figure:
    """An empty figure, width by height in inches, titled with what it shows and of what."""
    figure = Figure(figsize=(width, height))
    about = f"{title}\n{subject.model} on {subject.task}"
    figure.suptitle(about, x=0.01, ha="left", fontsize=TITLE)
    return figure


def width_of(texts: Iterable[str], size: float) -> float:
    """Inches that the widest of these texts takes in points of `size`; 0 where there is none."""
    widths = (TextPath((0, 0), text, size=size).get_extents().width for text in texts if text)
    return float(max(widths, default=0.0)) / _POINTS_PER_INCH


def step_axis(axes: Axes, steps: Iterable[int]) -> None:
    """Optimizer steps, logarithmic from the first step on so that early ones are apart.

    Step 0 lies on the short linear stretch before it. Ticks whose labels would touch are left
    out, the last step's never.
    """
    ordered = sorted(set(steps))
    first = next((step for step in ordered if step > 0), 1)
    axes.set_xscale("symlog", linthresh=first, linscale=0.4)
    places = axes.xaxis.get_transform().transform(np.asarray(ordered, dtype=float))
    kept = [ordered[index] for index in apart(places, least=1 / 11)]
    axes.xaxis.set_major_locator(FixedLocator(kept))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("optimizer step")


def apart(places: Floats, least: float) -> list[int]:
    """Indexes of places that keep a distance of this share of the axis, the last always kept.

    places: increasing.
    """
    gap = (places[-1] - places[0]) * least
    kept: list[int] = []
    last = np.inf
    for index in reversed(range(len(places))):
        if last - places[index] >= gap:
            kept.append(index)
            last = places[index]
    return kept[::-1]


def percent_axis(axes: Axes) -> None:
    """Accuracies in percent, with the limits that the data asks for but never beyond 0 to 100."""
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, -0.02), min(high, 1.02))
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))


def legend_below(figure: Figure, handles: Sequence[Artist]) -> None:
    """Labelled lines and marks below all panels, in a figure that is made higher by them."""
    labels = [str(handle.get_label()) for handle in handles]
    columns = max(1, int(figure.get_figwidth() / (width_of(labels, TEXT) + _LEGEND_LINE)))
    rows = math.ceil(len(labels) / columns)
    figure.set_figheight(figure.get_figheight() + _LEGEND_ROW * rows)
    figure.legend(handles, labels, loc="outside lower left", ncols=columns)


def save(figure: Figure, png: Path, svg: Path) -> None:
    """Writes both files; the same figure gives the same bytes."""
    for path, kind, metadata in (
        (png, "png", {"Software": None}),
        (svg, "svg", {"Date": None, "Creator": None}),
    ):
        with atomic_file(path) as partial:
            figure.savefig(partial, format=kind, metadata=metadata)
