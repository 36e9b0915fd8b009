"""Every figure: its name and the function that draws it.

To add a figure, write one module, one caption of the figure's name in `captions/`, and one entry
here.
"""

from __future__ import annotations

from collections.abc import Callable

from matplotlib.figure import Figure

from workflow_scripts.figures.accuracy_by_step import draw_accuracy_by_step
from workflow_scripts.figures.answer_loss_by_step import draw_answer_loss_by_step
from workflow_scripts.figures.condition_comparison import draw_condition_comparison
from workflow_scripts.figures.data import FigureData
from workflow_scripts.figures.icl_gap import draw_icl_gap
from workflow_scripts.figures.loss_curves import draw_loss_curves

FIGURES: dict[str, Callable[[FigureData], Figure]] = {
    "icl_gap": draw_icl_gap,
    "loss_curves": draw_loss_curves,
    "accuracy_by_step": draw_accuracy_by_step,
    "answer_loss_by_step": draw_answer_loss_by_step,
    "condition_comparison": draw_condition_comparison,
}
