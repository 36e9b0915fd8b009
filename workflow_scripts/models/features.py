"""Features that a study needs of a model: of its chat template, and of its architecture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from workflow_scripts.config.models import ModelSource
from workflow_scripts.runtime.errors import InputError, without_home
from workflow_scripts.runtime.files import read_json

_INSTEAD = {
    "system": "put the text into `prompt.question`",
    "demonstrations": "evaluate it without them: `shots: [0]`",
    "unanswered": "give that teacher another model, or remove it",
    "classification": "name other `models` for the condition, or use the language head",
}


def refuse_features(model: str, refused: Mapping[str, str], asked: Mapping[str, str]) -> None:
    """Raises InputError if the study needs a feature that the model lacks.

    refused: feature → reason, from the model's manifest.
    asked: feature → key path of the study file that needs it.
    """
    for feature, path in asked.items():
        if feature in refused:
            raise InputError(
                f"{path}: does not fit model {model}: {refused[feature]}; {_INSTEAD[feature]}"
            )


def recorded_features(manifest: Path, source: ModelSource) -> dict[str, str]:
    """The refused features in a model's manifest; empty if the model must still be fetched.

    A manifest of another source or revision does not count.
    Raises InputError if the manifest is damaged.
    """
    if not manifest.is_file():
        return {}
    content = read_json(manifest)
    if not isinstance(content, dict):
        raise InputError(f"{manifest}: not the manifest of a model; delete its folder and rerun")
    fetched = (content.get("source"), content.get("revision"))
    if fetched != (without_home(source.source), source.revision):
        return {}
    return dict(content.get("refused_features", {}))
