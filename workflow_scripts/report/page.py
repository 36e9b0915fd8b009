"""report.html: the whole experiment on one page that holds everything it shows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from workflow_scripts.report.page_parts import (
    Download,
    FigureFile,
    Section,
    Table,
    data_uri,
    read_figure,
    text_of_rst,
)
from workflow_scripts.report.sections import Pair, caveats, main_section, sections_of
from workflow_scripts.report.setup import (
    ReportSettings,
    condition_in_words,
    model_in_words,
    teacher_in_words,
    training_in_words,
)
from workflow_scripts.results import formatting as fmt
from workflow_scripts.results.names import is_main
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.tables.verdicts import BETTER, LESS, MORE, WORSE

TEMPLATE = Path(__file__).parent / "templates" / "report.html"

# a table that is larger is linked, not held: the page should load fast
LARGEST_TABLE = 1_000_000
# what the results come from, beside the model and the settings
LIBRARIES = ("snakemake", "torch", "transformers", "peft", "accelerate", "scipy", "statsmodels")
_NUMBER = re.compile(r"[+\-−<]?\s?\d")


@dataclass(frozen=True)
class TableFile:
    """A table of the experiment, and what is said of it."""

    path: Path
    caption: str

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def download(self) -> Download:
        content = self.path.read_bytes()
        held = len(content) <= LARGEST_TABLE
        return Download(self.path.name, data_uri("text/csv", content) if held else self.path.name)


def report_page(
    settings: str,
    tables: Mapping[str, pd.DataFrame],
    table_files: Sequence[TableFile],
    figure_files: Sequence[FigureFile],
    figure_captions: Mapping[str, str],
) -> str:
    """HTML that loads nothing from elsewhere.

    settings: JSON of the experiment, a config that makes it again; see `ReportSettings`.
    tables: name → table of all models and tasks.
    Raises InputError when a figure has no caption or cannot be read.
    """
    experiment = ReportSettings.model_validate_json(settings)
    pairs = list(_pairs(experiment, tables, figure_files, figure_captions))
    environment = Environment(
        loader=FileSystemLoader(TEMPLATE.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["number"] = lambda cell: bool(_NUMBER.match(cell))
    environment.tests["shown"] = lambda cell: cell in (BETTER, WORSE, LESS, MORE)
    return environment.get_template(TEMPLATE.name).render(
        experiment=experiment,
        trains=experiment.training is not None,
        gap=f"{100 * experiment.analysis.qualifying_gap:g}",
        power=fmt.percent(experiment.analysis.power),
        confidence=fmt.percent(experiment.analysis.confidence),
        summaries=[main_section(pair) for pair in pairs],
        overview=_overview(pairs),
        caveats=[(pair.title, list(caveats(pair))) for pair in pairs],
        setup=_setup(experiment),
        pairs=[
            Section(id=pair.id(), title=pair.title, sections=sections_of(pair)) for pair in pairs
        ],
        tables=[(file, text_of_rst(file.caption)) for file in table_files],
        settings=Download("settings.json", data_uri("application/json", settings.encode())),
        versions=[(name, version(name)) for name in LIBRARIES],
    )


def _pairs(
    settings: ReportSettings,
    tables: Mapping[str, pd.DataFrame],
    figure_files: Sequence[FigureFile],
    captions: Mapping[str, str],
) -> Iterator[Pair]:
    """Every model and task in the order of the config."""
    figures: dict[tuple[str, str], dict[tuple[str | None, str], FigureFile]] = {}
    for file in figure_files:
        if file.name not in captions:
            raise InputError(f"{file.svg}: no caption named {file.name}.rst among the inputs")
        figures.setdefault((file.model, file.task), {})[file.group, file.name] = file
    for model in settings.models:
        for task in settings.tasks:
            own = figures.get((model, task), {})
            yield Pair(
                model=model,
                task=task,
                settings=settings,
                tables=tables,
                figures={key: read_figure(file, captions[file.name]) for key, file in own.items()},
            )


def _overview(pairs: Sequence[Pair]) -> Table | None:
    """The gap of every model on every task, where there are several."""
    if len(pairs) == 1:
        return None
    rows = []
    for pair in pairs:
        gaps = pair.whole_gaps.sort_values("shots")
        most = gaps.iloc[-1]
        of_gap = {
            "with the most, %": fmt.share(most["accuracy_strict"]),
            f"gap, points {pair.confidence}": fmt.with_interval(most, "gap", fmt.points),
            "qualifies": fmt.yes_or_no(most["qualifies"]),
            "decided": fmt.yes_or_no(most["decided"]),
        }
        rows.append(
            {
                "model": pair.settings.model_label(pair.model),
                "task": pair.settings.task_label(pair.task),
                "without demonstrations, %": fmt.share(gaps.iloc[0]["accuracy_strict"]),
                # a task that is asked without demonstrations only has no gap
                **(of_gap if most["shots"] > 0 else dict.fromkeys(of_gap, "")),
            }
        )
    names = dict.fromkeys(pair.scores.strict for pair in pairs)
    return Table.of(f"What demonstrations in context give: {' or '.join(names)} on test", rows)


# --- what was done --------------------------------------------------------------------------


def _setup(settings: ReportSettings) -> Section:
    training = settings.training
    recipe = [] if training is None else [f"Training: {training_in_words(training)}."]
    seeds = fmt.listed([str(seed) for seed in settings.seeds])
    named = "Seed" if len(settings.seeds) == 1 else "Seeds"
    return Section(
        id="setup",
        title="What was done",
        text=[
            *recipe,
            *([f"{named}: {seeds}."] if training else []),
        ],
        tables=[
            _models(settings),
            _tasks(settings),
            _teachers(settings),
            _conditions(settings, "Conditions", main=True),
        ],
        folded=[_conditions(settings, "Variants of conditions", main=False)],
    )


def _models(settings: ReportSettings) -> Table:
    rows = [
        {"model": settings.model_label(name), "from": model_in_words(model)}
        for name, model in settings.models.items()
    ]
    return Table.of("Models", rows)


def _tasks(settings: ReportSettings) -> Table:
    rows = [
        {
            "task": settings.task_label(name),
            "from": task.data.source,
            "demonstrations": f"{task.data.items.demonstrations:,}",
            "training items": f"{task.data.items.train:,}",
            "validation items": f"{task.data.items.validation:,}",
            "test items": f"{task.data.items.test:,}",
            "shots": fmt.listed([str(shots) for shots in settings.shots_of(name)]),
            "scored as": _scored(task.scoring.scorer),
        }
        for name, task in settings.tasks.items()
    ]
    return Table.of("Tasks", rows)


def _scored(scorer: str) -> str:
    names = fmt.scores_of(scorer)
    return scorer if names == fmt.ACCURACIES else f"{names.strict} (flexibly: {names.flexible})"


def _teachers(settings: ReportSettings) -> Table:
    most = fmt.listed(
        list(dict.fromkeys(str(max(settings.shots_of(task))) for task in settings.tasks))
    )
    rows = [
        {"teacher": name, "what it is": teacher_in_words(teacher, f"{most} demonstrations")}
        for name, teacher in settings.teachers.items()
    ]
    return Table.of("Teachers", rows)


def _conditions(settings: ReportSettings, title: str, main: bool) -> Table:
    rows = [
        {
            "condition": name,
            "called": condition.label or "",
            "what it is trained on": condition_in_words(condition),
        }
        for name, condition in settings.conditions.items()
        if is_main(name) == main
    ]
    return Table.of(title, rows)
