"""Every figure: its name, the function that draws it, its caption and its place in the report.

To add a figure, write one module, one caption of the figure's name, and one entry here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure

from workflow_scripts.figures.accuracy_by_step import draw_accuracy_by_step
from workflow_scripts.figures.answer_loss_by_step import draw_answer_loss_by_step
from workflow_scripts.figures.condition_comparison import draw_condition_comparison
from workflow_scripts.figures.data import FigureData
from workflow_scripts.figures.icl_gap import draw_icl_gap
from workflow_scripts.figures.loss_curves import draw_loss_curves


class FigureEntry(NamedTuple):
    """category: the heading under which the report shows it."""

    draw: Callable[[FigureData], Figure]
    caption: Path
    category: str


def _entry(draw: Callable[[FigureData], Figure], caption: str, category: str) -> FigureEntry:
    return FigureEntry(draw, Path(__file__).parent / "captions" / caption, category)


FIGURES = {
    "icl_gap": _entry(draw_icl_gap, "icl_gap.rst", "In-context gap"),
    "loss_curves": _entry(draw_loss_curves, "loss_curves.rst", "Training"),
    "accuracy_by_step": _entry(draw_accuracy_by_step, "accuracy_by_step.rst", "Evaluation"),
    "answer_loss_by_step": _entry(
        draw_answer_loss_by_step, "answer_loss_by_step.rst", "Evaluation"
    ),
    "condition_comparison": _entry(
        draw_condition_comparison, "condition_comparison.rst", "Comparison"
    ),
}
