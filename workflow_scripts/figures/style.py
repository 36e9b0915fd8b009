"""One look for all figures: colours, markers, references, axes, and files that reproduce."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, PercentFormatter

from workflow_scripts.files import atomic_file
from workflow_scripts.names import is_main, recipe_of
from workflow_scripts.statistics import Floats

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
REFERENCE_LINES = {"fewest": ":", "most": "--"}
BAND = 0.12

_SETTINGS: dict[Any, Any] = {
    "figure.constrained_layout.use": True,
    "figure.dpi": 100,
    "savefig.dpi": 150,
    "font.family": ["DejaVu Sans", "sans-serif"],
    "font.size": 10,
    "axes.titlesize": 11,
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
    """Within the block figures are made and saved in this style, and settings of others are not."""
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


def new_figure(model: str, task: str, subject: str, width: float, height: float) -> Figure:
    """An empty figure, width by height in inches, titled with what it shows."""
    figure = Figure(figsize=(width, height))
    figure.suptitle(f"{subject} · {model} on {task}", x=0.01, ha="left", fontsize=12)
    return figure


def height_beside_legend(entries: int, least: float) -> float:
    """Inches that a figure needs so that a legend of so many entries fits beside it."""
    return max(least, 0.22 * (entries + 2))


def step_axis(axes: Axes, steps: Iterable[int]) -> None:
    """Optimizer steps, logarithmic from the first step on so that early ones are apart.

    Step 0 lies on the short linear stretch before it. Ticks whose labels would touch are left
    out, the last step's never.
    """
    ordered = sorted(set(steps))
    first = next((step for step in ordered if step > 0), 1)
    axes.set_xscale("symlog", linthresh=first, linscale=0.4)
    places = axes.xaxis.get_transform().transform(np.asarray(ordered, dtype=float))
    axes.xaxis.set_major_locator(FixedLocator(_apart(ordered, places)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("optimizer step")


def _apart(steps: Sequence[int], places: Floats) -> list[int]:
    """Steps whose labels keep a distance of an eleventh of the axis, from the last down."""
    gap = (places[-1] - places[0]) / 11
    kept: list[int] = []
    last = np.inf
    for step, place in zip(reversed(steps), reversed(places), strict=True):
        if last - place >= gap:
            kept.append(step)
            last = place
    return kept[::-1]


def percent_axis(axes: Axes) -> None:
    """Accuracies in percent, with the limits that the data asks for but never beyond 0 to 100."""
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, -0.02), min(high, 1.02))
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))


def legend_beside(figure: Figure, axes: Axes) -> None:
    """The entries of `axes`, right of all panels where they cover no data."""
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper")


def save(figure: Figure, png: Path, svg: Path) -> None:
    """Writes both files; the same figure gives the same bytes."""
    for path, kind, metadata in (
        (png, "png", {"Software": None}),
        (svg, "svg", {"Date": None, "Creator": None}),
    ):
        with atomic_file(path) as partial:
            figure.savefig(partial, format=kind, metadata=metadata)
