"""Makes report.html: the question, what was done, what is shown, and the data behind it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from workflow_scripts.report.page import TableFile, report_page
from workflow_scripts.report.page_parts import FigureFile
from workflow_scripts.results.index import read_table
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import atomic_file, read_json


def main(
    settings: str,
    models: list[Path],
    tables: list[Path],
    table_captions: dict[str, str],
    figures: list[Path],
    figure_captions: list[Path],
    output: Path,
) -> None:
    """Make report.html: the question, what was done, what is shown, and the data behind it.

    settings: ReportSettings as JSON.
    models: manifest of each model, in order.
    tables: gathered tables, <name>.csv.
    table_captions: what each table holds, as JSON.
    figure_captions: <name>.rst of each figure.
    figures: figures/<model>/<task>/[<group>/]<name>.svg, each with its <name>.csv beside it.
    output: report.html.
    """
    text = report_page(
        with_fetched_dtypes(settings, models),
        {path.stem: read_table(path) for path in tables},
        [TableFile(path, _caption(table_captions, path)) for path in tables],
        [FigureFile.at(path) for path in figures],
        _texts(figure_captions),
    )
    with atomic_file(output) as partial:
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
        raise InputError(f"{table}: no caption named {table.stem} among the arguments")
    return captions[table.stem]


if __name__ == "__main__":
    run_program(main)
