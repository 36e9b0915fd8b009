"""Figure: what demonstrations, or other contexts of teachers, give the base model."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow_scripts.figures import style
from workflow_scripts.figures.data import FigureData, Subject, one_value_a_row
from workflow_scripts.results import formatting as fmt
from workflow_scripts.results.index import is_shot_count

_KEYS = ["model", "task", "condition", "shots"]
_METRICS = ["accuracy_strict", "accuracy_flexible", "answer_loss"]


def table(data: FigureData) -> pd.DataFrame:
    """Accuracies and answer loss on test at each shot count and in each teacher's context.

    The gap is that at the most shots; where there are none, that of the first teacher's context.
    """
    of_shots, contexts = data.icl_gap.sort_values("shots"), data.context_gaps
    most = of_shots.tail(1)
    widest = most if most["shots"].iloc[0] > 0 or contexts.empty else contexts.head(1)
    return pd.concat(
        [
            one_value_a_row(pd.concat([of_shots, contexts]), _KEYS, _METRICS),
            one_value_a_row(widest, _KEYS, ["gap"]),
        ],
        ignore_index=True,
    )


def draw(table: pd.DataFrame, subject: Subject) -> Figure:
    """Test accuracy and answer loss in each context, with intervals."""
    of_metric = dict(list(table.groupby("measure")))
    figure = style.new_figure(subject, _gap_in_words(of_metric["gap"].iloc[0]), 7.6, 3.8)
    accuracy, loss = figure.subplots(1, 2)
    strict, flexible = style.PALETTE[:2]
    names = subject.scores
    _points(accuracy, of_metric["accuracy_strict"], names.strict, strict, "o", -0.04)
    _points(accuracy, of_metric["accuracy_flexible"], names.flexible, flexible, "s", 0.04)
    accuracy.set_title(fmt.capital(names.noun))
    accuracy.set_ylabel(names.noun)
    style.percent_axis(accuracy)
    _points(loss, of_metric["answer_loss"], "answer loss", strict, "o", 0.0)
    loss.set_title("Answer loss")
    loss.set_ylabel("nats")
    contexts = of_metric["answer_loss"]["condition"]
    named = [name.removesuffix("-shot") if is_shot_count(name) else name for name in contexts]
    is_of_teachers = not all(map(is_shot_count, contexts))
    for axes in (accuracy, loss):
        axes.set_xlabel("shots, or teacher" if is_of_teachers else "shots")
        axes.set_xticks(range(len(named)), named)
        axes.set_xlim(-0.4, len(named) - 0.6)
    style.legend_below(figure, accuracy.get_legend_handles_labels()[0])
    return figure


def _points(
    axes: Axes, rows: pd.DataFrame, label: str, color: str, marker: str, shift: float
) -> None:
    places = [place + shift for place in range(len(rows))]
    errors = [rows["value"] - rows["low"], rows["high"] - rows["value"]]
    axes.errorbar(
        places,
        rows["value"],
        yerr=errors,
        label=label,
        color=color,
        marker=marker,
        capsize=3,
        elinewidth=1,
    )


def _gap_in_words(gap: pd.Series) -> str:
    value, low, high = (100 * gap[name] for name in ("value", "low", "high"))
    return f"In-context gap {value:+.1f} points [{low:+.1f}, {high:+.1f}]"
