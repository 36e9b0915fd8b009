"""Draws one figure about a group of results, as PNG and SVG, with its data as CSV."""

from __future__ import annotations

from pathlib import Path

from workflow_scripts.config.comparisons import ComparisonGroup
from workflow_scripts.figures.data import GroupSubject, read_group_data, subject_of
from workflow_scripts.figures.registry import GROUP_FIGURES, write_figure
from workflow_scripts.results.index import ResultIndex
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.errors import InputError


def main(
    figure: str,
    model: str,
    task: str,
    scorer: str,
    group: ComparisonGroup,
    texts: dict[str, str],
    values: dict[str, float],
    baseline: str,
    summary: Path,
    comparisons: Path,
    index: ResultIndex,
    png: Path,
    svg: Path,
    csv: Path,
    drift: Path | None = None,
    cost: Path | None = None,
) -> None:
    """Draw one figure about a group of results, as PNG and SVG, with its data as CSV.

    scorer: of the task.
    texts: the description of each member, as JSON.
    values: the number of each member in a sweep, as JSON.
    baseline: the condition that others are compared with.
    drift: drift.csv, where it is measured.
    cost: cost.csv, for figures that show it.
    png, svg: figures to write.
    csv: their data, to write.
    """
    if figure not in GROUP_FIGURES:
        raise InputError(f"--figure: no figure {figure}; choose {', '.join(GROUP_FIGURES)}")
    subject = GroupSubject(
        **vars(subject_of(index, model, task, scorer)),
        group=group,
        texts=texts,
        baseline=baseline,
        values=values,
    )
    data = read_group_data(subject, summary, comparisons, drift, cost)
    write_figure(GROUP_FIGURES[figure], data, png=png, svg=svg, csv=csv)


if __name__ == "__main__":
    run_program(main)
