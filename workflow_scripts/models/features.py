"""What a study asks of a model's chat template, and whether the template can show it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from workflow_scripts.config.models import ModelSource
from workflow_scripts.runtime.errors import InputError, without_home
from workflow_scripts.runtime.files import read_json

_INSTEAD = {
    "system": "put the text into `prompt.question`",
    "demonstrations": "ask it without: `shots: [0]`",
    "unanswered": "give that teacher another model, or leave it out",
}


def refuse_features(model: str, refused: Mapping[str, str], asked: Mapping[str, str]) -> None:
    """Raises InputError when the study asks for what the chat template cannot show.

    refused: feature → reason, as `formats.refused_features` finds it.
    asked: feature → key path of the study file that asks for it.
    """
    for feature, path in asked.items():
        if feature in refused:
            raise InputError(
                f"{path}: does not fit model {model}: {refused[feature]}; {_INSTEAD[feature]}"
            )


def recorded_features(manifest: Path, source: ModelSource) -> dict[str, str]:
    """The refused features of a model that was fetched before; none where it was not.

    A manifest of another source or revision says nothing: the model will be fetched again.
    Raises InputError when the manifest is damaged.
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
