"""Every figure in a row: its name, what it is drawn from, and where it is drawn.

To add a figure, write `figures/<name>.py` with `table` and `draw`, `figures/captions/<name>.rst`,
and a row here. A figure of comparison groups is named in `GroupFigure` as well.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

GroupFigure = Literal[
    "forest_plot", "accuracy_by_value", "memory_by_value", "teacher_distance", "drift"
]
TRAINING_LOG = "training_log"


class FigureRow(NamedTuple):
    """tables: of the model and task; `TRAINING_LOG` is the log of each run.

    needs: where it is drawn: wherever there are `results`, where there are `runs` on the task
    itself, or for groups with two `numbers` of a sweep among the members.
    shows: for the documentation of the config.
    """

    tables: tuple[str, ...]
    needs: Literal["results", "runs", "numbers"] = "results"
    shows: str = ""


_OF_GROUP = ("summary", "comparisons")
# of each model and task
PAIR_FIGURES = {
    "icl_gap": FigureRow(("icl_gap",)),
    "loss_curves": FigureRow((TRAINING_LOG,), needs="runs"),
    "accuracy_by_step": FigureRow(("summary",), needs="runs"),
    "answer_loss_by_step": FigureRow(("summary",), needs="runs"),
}
# of comparison groups, where the config asks for them
GROUP_FIGURES: dict[GroupFigure, FigureRow] = {
    "forest_plot": FigureRow(_OF_GROUP, shows="accuracy at the chosen and the last checkpoint"),
    "accuracy_by_value": FigureRow(
        _OF_GROUP, needs="numbers", shows="accuracy by the number that a sweep varies"
    ),
    "memory_by_value": FigureRow(
        (*_OF_GROUP, "cost"), needs="numbers", shows="peak memory by that number"
    ),
    "teacher_distance": FigureRow(
        (*_OF_GROUP, "drift"),
        needs="runs",
        shows="distance to the teacher's hidden states by layer and step; needs `representations`",
    ),
    "drift": FigureRow(
        (*_OF_GROUP, "drift"),
        needs="runs",
        shows="drift of hidden states by layer and step; needs `representations`",
    ),
}
FIGURES: dict[str, FigureRow] = PAIR_FIGURES | {str(n): row for n, row in GROUP_FIGURES.items()}
# figures that show hidden states
BY_LAYER = [name for name, row in GROUP_FIGURES.items() if "drift" in row.tables]
