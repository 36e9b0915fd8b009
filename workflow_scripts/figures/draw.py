"""Draws one figure about one model and task, as PNG and SVG, with its data as CSV."""

from __future__ import annotations

from pathlib import Path

from workflow_scripts.figures.data import read_figure_data, subject_of
from workflow_scripts.figures.registry import FIGURES, write_figure
from workflow_scripts.results.index import ResultIndex
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.errors import InputError


def main(
    figure: str,
    model: str,
    task: str,
    scorer: str,
    summary: Path,
    icl_gap: Path,
    index: ResultIndex,
    png: Path,
    svg: Path,
    csv: Path,
) -> None:
    """Draw one figure about one model and task, as PNG and SVG, with its data as CSV.

    scorer: of the task.
    png, svg: figures to write.
    csv: their data, to write.
    """
    if figure not in FIGURES:
        raise InputError(f"--figure: no figure {figure}; choose {', '.join(FIGURES)}")
    subject = subject_of(index, model, task, scorer)
    data = read_figure_data(subject, index, summary=summary, icl_gap=icl_gap)
    write_figure(FIGURES[figure], data, png=png, svg=svg, csv=csv)


if __name__ == "__main__":
    run_program(main)
