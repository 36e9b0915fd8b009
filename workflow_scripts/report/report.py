"""Makes report.html: the question, what was done, what is shown, and the data behind it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from workflow_scripts.report.page import TableFile, report_page
from workflow_scripts.report.page_parts import FigureFile
from workflow_scripts.results.index import read_table
from workflow_scripts.runtime.errors import InputError, run_entry_point
from workflow_scripts.runtime.files import atomic_file, read_json


def main() -> None:
    arguments = parse_arguments()
    captions = _texts(arguments.table_captions)
    text = report_page(
        with_fetched_dtypes(arguments.settings, arguments.models),
        {path.stem: read_table(path) for path in arguments.tables},
        [TableFile(path, _caption(captions, path)) for path in arguments.tables],
        [FigureFile.at(path) for path in arguments.figures],
        _texts(arguments.figure_captions),
    )
    with atomic_file(arguments.output) as partial:
        partial.write_text(text)


def with_fetched_dtypes(settings: str, manifests: Sequence[Path]) -> str:
    """The settings with the dtype that each model was fetched in, where they say `auto`.

    settings: ReportSettings as JSON. manifests: of the models, in the order of the settings.
    """
    content = json.loads(settings)
    for model, manifest in zip(content["models"].values(), manifests, strict=True):
        model["dtype"] = read_json(manifest)["dtype"]
    return json.dumps(content)


def _texts(paths: Sequence[Path]) -> dict[str, str]:
    return {path.stem: path.read_text() for path in paths}


def _caption(captions: dict[str, str], table: Path) -> str:
    if table.stem not in captions:
        raise InputError(f"{table}: no caption named {table.stem}.rst among the inputs")
    return captions[table.stem]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="ReportSettings as JSON")
    parser.add_argument(
        "--models", type=Path, nargs="*", required=True, help="manifest of each model, in order"
    )
    parser.add_argument(
        "--tables", type=Path, nargs="*", required=True, help="gathered tables, <name>.csv"
    )
    parser.add_argument(
        "--table-captions", type=Path, nargs="*", required=True, help="<name>.rst of each table"
    )
    parser.add_argument(
        "--figures",
        type=Path,
        nargs="*",
        required=True,
        help="figures/<model>/<task>/[<group>/]<name>.svg, each with its <name>.csv beside it",
    )
    parser.add_argument(
        "--figure-captions", type=Path, nargs="*", required=True, help="<name>.rst of each figure"
    )
    parser.add_argument("--output", type=Path, required=True, help="report.html")
    return parser.parse_args()


if __name__ == "__main__":
    run_entry_point(main)
