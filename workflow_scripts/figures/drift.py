"""Figure: how far training moved the hidden states of the members of a group."""

from __future__ import annotations

import pandas as pd
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from workflow_scripts.figures.by_layer import Scale, by_layer, draw_by_layer
from workflow_scripts.figures.data import GroupData, GroupSubject


def table(data: GroupData) -> pd.DataFrame:
    """The drift with its interval, and CKA and SVCCA beside it; see `by_layer`."""
    return by_layer(data, "drift", ["cka", "svcca"])


def draw(table: pd.DataFrame, subject: GroupSubject) -> Figure:
    """1 - cosine to the base model's states."""
    scale = Scale(
        "drift",
        "1 - cosine",
        Normalize(0, float(table["drift"].max())),
        "magma_r",
        extend="neither",
    )
    return draw_by_layer(table, subject, "drift from the base model's hidden states", scale)
