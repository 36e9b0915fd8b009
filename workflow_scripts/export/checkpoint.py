"""A checkpoint as others load it: an adapter names its base model, a whole one has a tokenizer."""

from __future__ import annotations

import shutil
from pathlib import Path

from workflow_scripts.config.models import ModelSource
from workflow_scripts.evaluation.checkpoints import read_checkpoints
from workflow_scripts.export.recipe import named
from workflow_scripts.modeling.loading import checkpoint_kind
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import read_json, write_json


def copy_checkpoint(
    checkpoints: Path, step: int, base: ModelSource, model: Path, folder: Path
) -> None:
    """Copies what training wrote at a step into `folder`.

    An adapter's config names its base model by hub id and revision, or by its source as
    configured; training had named a folder of this machine. A whole model gets the tokenizer and
    chat template of the model that it started from. Bias terms are copied as they are.

    checkpoints, model: their manifests.
    Raises InputError when the run kept no checkpoint of the step, or it is damaged, or a file of it
    is a link: training writes none, and what a link leads to is perhaps not for others.
    """
    source = read_checkpoints(checkpoints, [step])[step]
    for name in read_json(checkpoints)["files"]:
        file = checkpoints.parent / name
        if file.parent != source:
            continue
        if file.is_symlink():
            raise InputError(
                f"{file}: is a link, and training writes none; delete {checkpoints} to train again"
            )
        shutil.copyfile(file, folder / file.name)
    kind = checkpoint_kind(folder)
    if kind == "adapter":
        _name_base(folder / "adapter_config.json", base)
    elif kind == "whole":
        _add_tokenizer(model, folder)


def _name_base(path: Path, base: ModelSource) -> None:
    found = {"base_model_name_or_path": named(base.source), "revision": base.revision}
    write_json(path, read_json(path) | found, checksum=False)


def _add_tokenizer(model: Path, folder: Path) -> None:
    for name in read_json(model)["files"]:
        if ".safetensors" not in name and not (folder / name).exists():
            shutil.copyfile(model.parent / name, folder / name)
