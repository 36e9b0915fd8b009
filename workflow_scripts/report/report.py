"""Makes report.html or summary.md: one document from the tables, laid out by a template."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from workflow_scripts.report.build import build_document
from workflow_scripts.report.document import (
    Download,
    Figure,
    FigureFile,
    Room,
    data_uri,
    render,
    text_of_rst,
)
from workflow_scripts.report.setup import ReportSettings
from workflow_scripts.results.index import read_table
from workflow_scripts.results.names import ELSEWHERE
from workflow_scripts.runtime.checksums import checked
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import atomic_file, read_json

TEMPLATES = Path(__file__).parent / "templates"
# bytes of a page with the files that it holds, so that it opens and is sent easily
LARGEST_PAGE = 1_950_000
# of what the text leaves, for figures, tables and the figures' data
SHARES = {"figures": 0.7, "tables": 0.2, "data": 0.1}
# libraries that results depend on beside the model and the settings
LIBRARIES = ("snakemake", "torch", "transformers", "peft", "accelerate", "scipy", "statsmodels")


def main(
    settings: str,
    models: list[Path],
    tables: list[Path],
    wordings: dict[str, str],
    page: Path,
    table_captions: dict[str, str] | None = None,
    figures: list[Path] | None = None,
    figure_captions: list[Path] | None = None,
) -> None:
    """Make report.html or summary.md: the question, what was done, what is shown, the data.

    settings: ReportSettings without wordings, as JSON.
    models: manifest of each model that runs here, in order.
    tables: gathered tables, <name>.csv.
    wordings: objective → template of its terms' description.
    page: report.html or summary.md.
    table_captions: what each table holds, as JSON.
    figures: figures/<model>/<task>/[<group>/]<name>.svg, each with its png and csv beside it.
    figure_captions: <name>.rst of each figure.
    """
    text = with_fetched_dtypes(settings, models)
    experiment = ReportSettings.model_validate(json.loads(text) | {"wordings": wordings})
    captions = {path.stem: path.read_text() for path in figure_captions or ()}
    read = {path.stem: read_table(path) for path in tables}

    def written(size: float) -> str:
        """The page, which holds figures and tables of at most this size."""
        rooms = {name: Room(page, share * size) for name, share in SHARES.items()}
        shown = _figures(figures or (), captions, rooms)
        return render(
            TEMPLATES / page.name,
            document=build_document(experiment, read, shown),
            experiment=experiment,
            tables=[
                Download(
                    path.name,
                    rooms["tables"].link(path),
                    text_of_rst(_caption(table_captions, path, path.stem)),
                )
                for path in (tables if table_captions else ())
            ],
            settings=Download("settings.json", data_uri("application/json", text.encode())),
            versions=[(name, version(name)) for name in LIBRARIES],
        )

    text_of_page = written(0)
    if figures or table_captions:
        text_of_page = written(LARGEST_PAGE - len(text_of_page.encode()))
    with atomic_file(page, checksum=False) as partial:
        partial.write_text(text_of_page)


def with_fetched_dtypes(settings: str, manifests: Sequence[Path]) -> str:
    """The settings with the dtype that each model was fetched in, where they say `auto`.

    settings: ReportSettings as JSON. manifests: of the models that run here, in the order of the
    settings.
    """
    content = json.loads(settings)
    here = [model for model in content["models"].values() if model["source"] != ELSEWHERE]
    for model, manifest in zip(here, manifests, strict=True):
        model["dtype"] = read_json(checked(manifest))["dtype"]
    return json.dumps(content)


def _figures(
    paths: Sequence[Path], captions: dict[str, str], rooms: Mapping[str, Room]
) -> dict[tuple[str, str], list[Figure]]:
    figures: dict[tuple[str, str], list[Figure]] = {}
    for path in paths:
        file = FigureFile.at(path)
        own = figures.setdefault((file.model, file.task), [])
        caption = _caption(captions, path, file.name)
        own.append(file.read(caption, rooms["figures"], rooms["data"]))
    return figures


def _caption(captions: Mapping[str, str] | None, file: Path, name: str) -> str:
    if captions is None or name not in captions:
        raise InputError(f"{file}: no caption named {name} among the arguments")
    return captions[name]


if __name__ == "__main__":
    run_program(main)
