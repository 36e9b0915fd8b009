"""What the wildcards of the rules match."""

from __future__ import annotations

import re
from collections.abc import Iterable

from workflow_scripts.config.figures import FIGURES
from workflow_scripts.study.layout import ANSWERED, DATA, DRAW, RESULT
from workflow_scripts.study.study import Study
from workflow_scripts.tasks.shares import SPLITS


def one_of(names: Iterable[str]) -> str:
    """Regex matching exactly these names (nothing if there are none)."""
    return "|".join(map(re.escape, names)) or "(?!)"


def constraints(study: Study) -> dict[str, str]:
    """Wildcard → regex."""
    experiment = study.experiment
    return {
        "model": one_of(experiment.models),
        "task": one_of(experiment.tasks),
        "split": one_of(SPLITS),
        "teacher": one_of(experiment.teachers),
        "number": r"\d+",
        "shard": r"\d{4}",
        "data": DATA,
        "answered": ANSWERED,
        "generated": one_of(study.supervision.drawn),
        "kept": one_of(study.supervision.kept),
        "condition": one_of(experiment.conditions),
        "tuned": one_of(study.matrix.candidates),
        "shots": r"\d+",
        "draw": DRAW,
        "seed": r"\d+",
        "round": r"\d+",
        "result": RESULT,
        "foreign": one_of(study.matrix.foreign_names),
        "search": one_of(experiment.searches),
        # of a comparison group: <group>/<name>
        "figure": rf"(({one_of(study.groups.all)})/)?({one_of(FIGURES)})",
        "table": one_of(study.tables.names),
    }
