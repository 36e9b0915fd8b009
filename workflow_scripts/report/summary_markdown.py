"""Makes summary.md, the results in words and tables."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.config.comparisons import ComparisonGroup
from workflow_scripts.report.markdown import Tables, summary_markdown
from workflow_scripts.results.index import read_table
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.files import atomic_file


def main(
    settings: AnalysisSettings,
    scorers: dict[str, str],
    groups: list[ComparisonGroup],
    summary: Path,
    comparisons: Path,
    crossover: Path,
    cost: Path,
    icl_gap: Path,
    noise: Path,
    output: Path,
    domains: Path | None = None,
) -> None:
    """Make summary.md, the results in words and tables.

    scorers: the scorer of each task, as JSON.
    domains: domains.csv, where there are mixtures.
    output: summary.md.
    """
    tables = Tables(
        summary=read_table(summary),
        comparisons=read_table(comparisons),
        crossover=read_table(crossover),
        cost=read_table(cost),
        icl_gap=read_table(icl_gap),
        noise=read_table(noise),
        domains=_none() if domains is None else read_table(domains),
    )
    with atomic_file(output) as partial:
        partial.write_text(summary_markdown(tables, groups, settings, scorers))


def _none() -> pd.DataFrame:
    return pd.DataFrame(columns=["model", "task"])


if __name__ == "__main__":
    run_program(main)
