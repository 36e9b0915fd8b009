"""Figure: how far the members of a group are from the teacher, layer by layer."""

from __future__ import annotations

import pandas as pd
from matplotlib.colors import CenteredNorm
from matplotlib.figure import Figure

from workflow_scripts.figures.by_layer import Scale, by_layer, draw_by_layer
from workflow_scripts.figures.data import GroupData, GroupSubject

_METRIC = "teacher_distance"
_UNTRAINED = 1.0
# from the teacher's own states to twice the distance of the base model
_MOST = 1.0


def table(data: GroupData) -> pd.DataFrame:
    """The distance with its interval; see `by_layer`."""
    return by_layer(data, _METRIC)


def draw(table: pd.DataFrame, subject: GroupSubject) -> Figure:
    """The distance to the teacher's states, in units of the base model's, around 1."""
    furthest = float((table[_METRIC] - _UNTRAINED).abs().max())
    scale = Scale(
        _METRIC,
        "distance to the teacher",
        CenteredNorm(_UNTRAINED, min(furthest, _MOST) or _MOST),
        "coolwarm",
        extend="max" if furthest > _MOST else "neither",
    )
    return draw_by_layer(table, subject, "distance to the teacher's hidden states", scale)
