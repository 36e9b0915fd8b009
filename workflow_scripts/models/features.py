"""Features that a study needs of a model: of its chat template, its architecture, its weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workflow_scripts.config.models import ModelSource
from workflow_scripts.modeling.module_names import why_not_adapted
from workflow_scripts.runtime.checksums import damage_of
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import read_json
from workflow_scripts.runtime.home import without_home

# feature of a model that LoRA adapts modules of this name
NAMED_MODULE = "LoRA module "
_INSTEAD = {
    "system": "put the text into `prompt.question`",
    "demonstrations": "evaluate it without them: `shots: [0]`",
    "unanswered": "give that teacher another model, or remove it",
    "classification": "name other `models` for the condition, or use the language head",
    "training": "train the model that was quantized; this one can teach",
}
_OTHER_MODULES = "name other `target_modules`"


def refuse_features(model: str, manifest: Mapping[str, Any], asked: Mapping[str, str]) -> None:
    """Raises InputError if the study needs a feature that the model lacks.

    manifest: of the model; empty if it must still be fetched.
    asked: feature → key path of the study file that needs it.
    """
    for feature, path in asked.items():
        if reason := _why_refused(feature, manifest):
            instead = _INSTEAD.get(feature, _OTHER_MODULES)
            raise InputError(f"{path}: does not fit model {model}: {reason}; {instead}")


def _why_refused(feature: str, manifest: Mapping[str, Any]) -> str | None:
    modules = manifest.get("lora_modules")
    if feature.startswith(NAMED_MODULE) and modules:
        return why_not_adapted(feature.removeprefix(NAMED_MODULE), modules)
    reason: str | None = manifest.get("refused_features", {}).get(feature)
    return reason


def fetched_manifest(manifest: Path, source: ModelSource) -> dict[str, Any]:
    """The content of a model's manifest; empty if the model must still be fetched.

    A manifest of another source or revision does not count, nor does a damaged one, which the
    first job that opens it refuses.
    """
    if not manifest.is_file() or damage_of(manifest):
        return {}
    content = read_json(manifest)
    fetched = (content.get("source"), content.get("revision"))
    return content if fetched == (without_home(source.source), source.revision) else {}
