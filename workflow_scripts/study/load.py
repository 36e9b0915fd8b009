"""From a config to a study: sweeps are written out, then schema and checks refuse what is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from workflow_scripts.config.study import Experiment
from workflow_scripts.models.features import recorded_features, refuse_features
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.study.checks import first_problem
from workflow_scripts.study.config_files import check_config_file
from workflow_scripts.study.refusals import error_lines
from workflow_scripts.study.renamed_keys import renamed
from workflow_scripts.study.study import Study
from workflow_scripts.study.sweeps import expand_sweeps


def load_study(config: Mapping[str, Any], files: Iterable[str | Path] = ()) -> Study:
    """The study of a config.

    files: that the config was read from; checked for what YAML changes without a word.
    Raises InputError with one line for each problem: the key's path and what is wrong there.
    """
    for file in files:
        check_config_file(Path(file))
    if lines := renamed(config):
        raise InputError("\n".join(lines))
    try:
        study = Study(Experiment.model_validate(expand_sweeps(config)))
    except ValidationError as error:
        raise InputError("\n".join(error_lines(error))) from None
    if problem := first_problem(study):
        raise InputError(": ".join(problem))
    return study


def check_fetched_models(study: Study) -> None:
    """Raises InputError where a model, fetched for an earlier study, cannot show what this asks."""
    for name in study.matrix.fetched_models:
        manifest = Path(study.layout.model(name))
        known = recorded_features(manifest, study.slices.model(name))
        refuse_features(name, known, study.slices.features_asked(name))
