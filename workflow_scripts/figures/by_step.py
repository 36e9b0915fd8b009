"""Metrics on the test split by optimizer step, with the base model as reference."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes

from workflow_scripts.figures import style
from workflow_scripts.figures.data import FigureData, Subject, one_value_a_row
from workflow_scripts.results.index import REPLICATE
from workflow_scripts.runtime.errors import InputError

_KEYS = ["model", "task", "condition", *REPLICATE, "step"]


def by_step(data: FigureData, metrics: Sequence[str]) -> pd.DataFrame:
    """The metrics of the references and of each main condition at each step.

    metrics: columns of the summary that have `_low` and `_high`.
    Raises InputError when nothing was trained.
    """
    subject, table = data.subject, data.test_summary
    if not table["condition"].isin(subject.main_conditions).any():
        raise InputError(f"{subject.model} {subject.task}: no run to draw by step")
    drawn = table["condition"].isin([*subject.references, *subject.main_conditions])
    return one_value_a_row(table[drawn], _KEYS, metrics)


def draw_by_step(axes: Axes, table: pd.DataFrame, subject: Subject, metric: str) -> None:
    """One line and band for each main condition; level lines and bands for the references."""
    of_metric = dict(list(table[table["measure"] == metric].groupby("condition")))
    for reference, line in zip(subject.references, style.REFERENCE_LINES.values(), strict=False):
        row = of_metric[reference].iloc[0]
        axes.axhspan(
            row["low"], row["high"], color=style.REFERENCE_COLOUR, alpha=style.BAND, linewidth=0
        )
        axes.axhline(row["value"], color=style.REFERENCE_COLOUR, linestyle=line, label=reference)
    styles = style.condition_styles(subject.conditions)
    for condition in subject.main_conditions:
        look = styles[condition]
        own = of_metric[condition].sort_values("step")
        axes.fill_between(
            own["step"], own["low"], own["high"], color=look.color, alpha=style.BAND, linewidth=0
        )
        axes.plot(
            own["step"],
            own["value"],
            color=look.color,
            marker=look.marker,
            linestyle=look.line,
            label=condition,
        )
    style.step_axis(axes, table.loc[table["condition"].isin(subject.main_conditions), "step"])
