"""Builds the document of an experiment from its settings, tables and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from workflow_scripts.report.document import Document, Figure, Part, Section, Table, cited
from workflow_scripts.report.pair import Pair
from workflow_scripts.report.sections.answers import answers_section
from workflow_scripts.report.sections.measured import (
    calibration_section,
    cost_section,
    domains_section,
    labels_section,
    noise_section,
    results_from_section,
    retention_section,
    targets_section,
)
from workflow_scripts.report.sections.results import (
    caveats,
    gap_section,
    group_section,
    main_section,
)
from workflow_scripts.report.sections.setup import setup_section
from workflow_scripts.report.sections.training import (
    drift_section,
    learning_curve_section,
    steadiness_section,
)
from workflow_scripts.report.sections.tuning import tuning_section
from workflow_scripts.report.setup import ReportSettings
from workflow_scripts.results import formatting as fmt

# the table that each section is about
_SECTIONS = {
    "results_from": results_from_section,
    "tuning": tuning_section,
    "answers": answers_section,
    "retention": retention_section,
    "domains": domains_section,
    "labels": labels_section,
    "calibration": calibration_section,
    "crossover": learning_curve_section,
    "optimisation": steadiness_section,
    "drift": drift_section,
    "noise": noise_section,
    "cost": cost_section,
    "targets": targets_section,
}


def build_document(
    settings: ReportSettings,
    tables: Mapping[str, pd.DataFrame],
    figures: Mapping[tuple[str, str], Sequence[Figure]],
) -> Document:
    """Every model on every task that it has results on, in the order of the config.

    tables: name → table of all models and tasks; a section without its table is left out.
    figures: (model, task) → its figures.
    """
    pairs = [
        Pair(model, task, settings, tables, figures.get((model, task), ()))
        for model, task in settings.pairs
    ]
    return Document(
        overview=_overview(pairs),
        parts=[_part(pair) for pair in pairs],
        setup=setup_section(settings),
    )


def _part(pair: Pair) -> Part:
    return Part(
        id=pair.id(),
        model=pair.settings.model_label(pair.model),
        dtype=pair.settings.models[pair.model].dtype,
        task=pair.settings.task_label(pair.task),
        summary=main_section(pair),
        caveats=list(caveats(pair)),
        gap=gap_section(pair) if len(pair.whole_gaps) else None,
        sections=_sections(pair),
    )


def _sections(pair: Pair) -> list[Section]:
    groups = [group_section(pair, group, first=not n) for n, group in enumerate(pair.groups)]
    return [*groups, *(make(pair) for name, make in _SECTIONS.items() if len(pair.table(name)))]


def _overview(pairs: Sequence[Pair]) -> Table | None:
    """The gap of every model on every task; None where there is one, or none."""
    pairs = [pair for pair in pairs if len(pair.whole_gaps)]
    if len(pairs) < 2:
        return None
    rows = []
    for pair in pairs:
        gaps = pair.whole_gaps
        most = gaps.iloc[-1]
        of_gap = {
            "with the most, %": fmt.share(most["accuracy_strict"]),
            f"gap, points {pair.interval}": fmt.with_interval(most, "gap", fmt.points),
            "qualifies": fmt.yes_or_no(most["qualifies"]),
            "decided": fmt.yes_or_no(most["decided"]),
            "smallest": fmt.yes_or_no(most["smallest_qualifying"]),
        }
        rows.append(
            {
                "model": pair.settings.model_label(pair.model),
                "task": pair.settings.task_label(pair.task),
                "without demonstrations, %": fmt.share(gaps.iloc[0]["accuracy_strict"]),
                # a task that is asked without demonstrations only has no gap
                **(of_gap if most["shots"] > 0 else {}),
                **cited("icl_gap", gaps.iloc[0], most),
            }
        )
    names = dict.fromkeys(pair.scores.strict for pair in pairs)
    return Table.of(f"What demonstrations in context give: {' or '.join(names)} on test", rows)
