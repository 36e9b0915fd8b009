"""Makes report.html or summary.md: one document from the tables, laid out by a template."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from workflow_scripts.report.build import build_document
from workflow_scripts.report.document import Download, Figure, FigureFile, data_uri, render
from workflow_scripts.report.setup import ReportSettings
from workflow_scripts.results.index import read_table
from workflow_scripts.runtime.errors import InputError, run_entry_point
from workflow_scripts.runtime.files import atomic_file, read_json

TEMPLATES = Path(__file__).parent / "templates"
# libraries that results depend on beside the model and the settings
LIBRARIES = ("snakemake", "torch", "transformers", "peft", "accelerate", "scipy", "statsmodels")


def main() -> None:
    arguments = parse_arguments()
    text = with_fetched_dtypes(arguments.settings, arguments.models)
    settings = ReportSettings.model_validate_json(text)
    tables = {path.stem: read_table(path) for path in arguments.tables}
    captions = _captions(arguments.table_captions)
    page = render(
        TEMPLATES / arguments.output.name,
        document=build_document(
            settings, tables, _figures(arguments.figures, _captions(arguments.figure_captions))
        ),
        experiment=settings,
        tables=[
            Download.of_table(path, _caption(captions, path, path.stem))
            for path in (arguments.tables if captions else ())
        ],
        settings=Download("settings.json", data_uri("application/json", text.encode())),
        versions=[(name, version(name)) for name in LIBRARIES],
    )
    with atomic_file(arguments.output) as partial:
        partial.write_text(page)


def with_fetched_dtypes(settings: str, manifests: Sequence[Path]) -> str:
    """The settings with the dtype that each model was fetched in, where they say `auto`.

    settings: ReportSettings as JSON. manifests: of the models, in the order of the settings.
    """
    content = json.loads(settings)
    for model, manifest in zip(content["models"].values(), manifests, strict=True):
        model["dtype"] = read_json(manifest)["dtype"]
    return json.dumps(content)


def _figures(
    paths: Sequence[Path], captions: dict[str, str]
) -> dict[tuple[str, str], list[Figure]]:
    figures: dict[tuple[str, str], list[Figure]] = {}
    for path in paths:
        file = FigureFile.at(path)
        own = figures.setdefault((file.model, file.task), [])
        own.append(file.read(_caption(captions, path, file.name)))
    return figures


def _captions(paths: Sequence[Path]) -> dict[str, str]:
    return {path.stem: path.read_text() for path in paths}


def _caption(captions: dict[str, str], file: Path, name: str) -> str:
    if name not in captions:
        raise InputError(f"{file}: no caption named {name}.rst among the inputs")
    return captions[name]


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
        "--table-captions", type=Path, nargs="*", default=[], help="<name>.rst of each table"
    )
    parser.add_argument(
        "--figures",
        type=Path,
        nargs="*",
        default=[],
        help="figures/<model>/<task>/[<group>/]<name>.svg, each with its <name>.csv beside it",
    )
    parser.add_argument(
        "--figure-captions", type=Path, nargs="*", default=[], help="<name>.rst of each figure"
    )
    parser.add_argument("--output", type=Path, required=True, help="report.html or summary.md")
    return parser.parse_args()


if __name__ == "__main__":
    run_entry_point(main)
