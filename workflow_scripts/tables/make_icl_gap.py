"""Makes icl_gap.csv from the predictions of an untrained model at each shot count."""

from __future__ import annotations

import argparse
from pathlib import Path

from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.results.index import ResultIndex, read_predictions, write_table
from workflow_scripts.runtime.errors import InputError, run_entry_point
from workflow_scripts.runtime.files import read_json
from workflow_scripts.tables.icl_gap import icl_gap_table


def main() -> None:
    arguments = parse_arguments()
    settings = AnalysisSettings.model_validate_json(arguments.settings)
    predictions = read_predictions(ResultIndex.parse(arguments.index))
    table = icl_gap_table(predictions, *size_and_dtype(arguments.model), settings)
    write_table(table, arguments.output)


def size_and_dtype(manifest: Path) -> tuple[int, str]:
    """Number of parameters of a model, and the dtype that it was fetched in.

    Raises InputError when its manifest does not say them.
    """
    content = read_json(manifest)
    try:
        return int(content["parameters"]), str(content["dtype"])
    except (KeyError, TypeError, ValueError):
        raise InputError(
            f"{manifest}: says no number of `parameters` or no `dtype`; delete its folder and rerun"
        ) from None


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="AnalysisSettings as JSON")
    parser.add_argument("--model", type=Path, required=True, help="manifest of the model")
    parser.add_argument("--index", required=True, help="JSON list of its base results on a task")
    parser.add_argument("--output", type=Path, required=True, help="icl_gap.csv")
    return parser.parse_args()


if __name__ == "__main__":
    run_entry_point(main)
