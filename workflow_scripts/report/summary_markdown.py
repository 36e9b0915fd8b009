"""Makes summary.md, the results in words and tables."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pandas as pd

from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.config.comparisons import ComparisonGroup
from workflow_scripts.report.markdown import Tables, summary_markdown
from workflow_scripts.results.index import parse_entries, read_table
from workflow_scripts.runtime.errors import run_entry_point
from workflow_scripts.runtime.files import atomic_file


def main() -> None:
    arguments = parse_arguments()
    tables = Tables(
        summary=read_table(arguments.summary),
        comparisons=read_table(arguments.comparisons),
        crossover=read_table(arguments.crossover),
        cost=read_table(arguments.cost),
        icl_gap=read_table(arguments.icl_gap),
        noise=read_table(arguments.noise),
        domains=_none() if arguments.domains is None else read_table(arguments.domains),
    )
    groups = parse_entries(ComparisonGroup, arguments.groups, "comparisons")
    settings = AnalysisSettings.model_validate_json(arguments.settings)
    scorers = json.loads(arguments.scorers)
    with atomic_file(arguments.output) as partial:
        partial.write_text(summary_markdown(tables, groups, settings, scorers))


def _none() -> pd.DataFrame:
    return pd.DataFrame(columns=["model", "task"])


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="AnalysisSettings as JSON")
    parser.add_argument("--scorers", required=True, help="JSON: task to its scorer")
    parser.add_argument("--groups", required=True, help="JSON list of ComparisonGroup")
    parser.add_argument("--summary", type=Path, required=True, help="summary.csv")
    parser.add_argument("--comparisons", type=Path, required=True, help="comparisons.csv")
    parser.add_argument("--crossover", type=Path, required=True, help="crossover.csv")
    parser.add_argument("--cost", type=Path, required=True, help="cost.csv")
    parser.add_argument("--icl-gap", type=Path, required=True, help="icl_gap.csv")
    parser.add_argument("--noise", type=Path, required=True, help="noise.csv")
    parser.add_argument(
        "--domains", type=Path, nargs="?", help="domains.csv, where there are mixtures"
    )
    parser.add_argument("--output", type=Path, required=True, help="summary.md")
    return parser.parse_args()


if __name__ == "__main__":
    run_entry_point(main)
