"""Figure: what demonstrations in context give the untrained model."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow_scripts.figures import style
from workflow_scripts.figures.data import FigureData


def draw_icl_gap(data: FigureData) -> Figure:
    """Test accuracy and answer loss at each shot count, with intervals."""
    table = data.icl_gap[data.icl_gap["split"] == "test"].sort_values("shots")
    figure = style.new_figure(data.model, data.task, _gap_in_words(table), 9.0, 3.6)
    accuracy, loss = figure.subplots(1, 2)
    strict, flexible = style.PALETTE[:2]
    _points(accuracy, table, "accuracy_strict", "strict", strict, "o", -0.04)
    _points(accuracy, table, "accuracy_flexible", "flexible", flexible, "s", 0.04)
    accuracy.set_title("Accuracy")
    accuracy.set_ylabel("accuracy")
    style.percent_axis(accuracy)
    _points(loss, table, "answer_loss", "answer loss", strict, "o", 0.0)
    loss.set_title("Answer loss")
    loss.set_ylabel("nats per answer token")
    for axes in (accuracy, loss):
        axes.set_xlabel("shots")
        axes.set_xticks(range(len(table)), [str(shots) for shots in table["shots"]])
        axes.set_xlim(-0.4, len(table) - 0.6)
    style.legend_beside(figure, accuracy)
    return figure


def _points(
    axes: Axes, table: pd.DataFrame, measure: str, label: str, color: str, marker: str, shift: float
) -> None:
    places = [place + shift for place in range(len(table))]
    value = table[measure]
    errors = [value - table[f"{measure}_low"], table[f"{measure}_high"] - value]
    axes.errorbar(
        places, value, yerr=errors, label=label, color=color, marker=marker, capsize=3, elinewidth=1
    )


def _gap_in_words(table: pd.DataFrame) -> str:
    most = table.iloc[-1]
    low, high = 100 * most["gap_low"], 100 * most["gap_high"]
    return f"In-context gap {100 * most['gap']:+.1f} points [{low:+.1f}, {high:+.1f}]"
