"""From a config to a study: expand sweeps, validate the schema, then check sections together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from workflow_scripts.config.study import Experiment
from workflow_scripts.models.features import fetched_manifest, refuse_features
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.study.checks import first_problem
from workflow_scripts.study.config_files import check_config_file
from workflow_scripts.study.refusals import error_lines, unreadable
from workflow_scripts.study.renamed_keys import renamed
from workflow_scripts.study.study import Study
from workflow_scripts.study.sweeps import expand_sweeps


def load_study(config: Mapping[str, Any], files: Iterable[str | Path] = ()) -> Study:
    """The study of a config.

    files: the config files, checked for what YAML changes silently.
    Raises InputError with one line for each problem: key path, and what is wrong.
    """
    for file in files:
        check_config_file(Path(file))
    try:
        lines = [*unreadable(config), *renamed(config)]
    except RecursionError:
        raise InputError("config: a section holds itself, by a YAML alias; write it out") from None
    if lines:
        raise InputError("\n".join(lines))
    expanded = expand_sweeps(config)
    try:
        study = Study(Experiment.model_validate(expanded))
    except ValidationError as error:
        raise InputError("\n".join(error_lines(error, expanded))) from None
    if problem := first_problem(study):
        raise InputError(": ".join(problem))
    return study


def check_fetched_models(study: Study) -> None:
    """Raises InputError if a fetched model lacks a feature that the study needs."""
    for name in study.matrix.fetched_models:
        file = Path(study.layout.model(name))
        manifest = fetched_manifest(file, study.slices.model(name))
        refuse_features(name, manifest, study.slices.features_asked(name))
