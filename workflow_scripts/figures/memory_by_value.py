"""Figure: peak memory of training and inference by the number that a sweep varies."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from workflow_scripts.figures import style
from workflow_scripts.figures.by_value import (
    by_value,
    draw_by_value,
    legend_of,
    new_figure,
)
from workflow_scripts.figures.data import GroupData, GroupSubject
from workflow_scripts.results.index import INFERENCE, TRAINING
from workflow_scripts.runtime.errors import InputError

RESIDENT, GPU = "resident memory", "GPU memory"
_GB_IN_MIB = 2**20 / 1e9


def table(data: GroupData) -> pd.DataFrame:
    """Mean, least and most over the runs, in GB (10⁹ bytes), for each phase; see `by_value`.

    `memory` is that of the GPU in a phase in which some member used one, else the resident one.
    Raises InputError when no member with a number has a cost.
    """
    subject, costs = data.subject, data.cost
    if not costs["condition"].isin(subject.values).any():
        group = f"{subject.model} {subject.task}: group {subject.group.name}"
        raise InputError(f"{group}: no member with a number has a cost")
    phases = dict(list(costs.groupby("phase")))
    return pd.concat(
        [
            _of_phase(phases[phase], subject).assign(phase=phase)
            for phase in (TRAINING, INFERENCE)
            if phase in phases
        ],
        ignore_index=True,
    )


def _of_phase(costs: pd.DataFrame, subject: GroupSubject) -> pd.DataFrame:
    on_gpu = bool((costs["peak_gpu_mb"] > 0).any())
    gigabytes = costs["peak_gpu_mb" if on_gpu else "peak_rss_mb"] * _GB_IN_MIB
    over_runs = gigabytes.groupby(costs["condition"], sort=False).agg(["mean", "min", "max"])
    members = over_runs.set_axis(["value", "low", "high"], axis=1).rename_axis("member")
    memory = GPU if on_gpu else RESIDENT
    return by_value(members.reset_index().assign(memory=memory), subject)


def draw(table: pd.DataFrame, subject: GroupSubject) -> Figure:
    """A panel for each phase: a line for each recipe, level lines without a number."""
    phases = dict(list(table.groupby("phase", sort=False)))
    figure = new_figure(subject, "peak memory", len(phases))
    panels = figure.subplots(1, len(phases), squeeze=False)[0]
    for axes, (phase, rows) in zip(panels, phases.items(), strict=True):
        draw_by_value(axes, rows, table["number"].dropna(), subject)
        axes.set_title(str(phase))
        axes.set_ylabel(f"{rows['memory'].iloc[0]}, GB")
        # room above memory that is the same everywhere, whose own margin is nothing
        axes.set_ylim(0, 1.1 * axes.get_ylim()[1])
    style.legend_below(figure, legend_of(table, subject))
    return figure
