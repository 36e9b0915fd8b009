"""A model's folder, tokenizer and weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME, logging

from workflow_scripts.errors import InputError
from workflow_scripts.files import read_json, sha256_of


@dataclass(frozen=True)
class LocalModel:
    """A fetched model. What it holds is read from its manifest.

    parameters: number of weights, tied ones counted once.
    width: of the residual stream, which every decoder layer returns.
    vocabulary: length of a row of logits.
    context_length: tokens.
    chat_template_sha256: None for a base model, which has no chat template.
    manifest_sha256: of the manifest, which holds the checksums of the model's files.
    """

    folder: Path
    source: str
    revision: str | None
    dtype: str
    parameters: int
    layers: int
    width: int
    vocabulary: int
    context_length: int
    chat_template_sha256: str | None
    manifest_sha256: str

    @property
    def name(self) -> str:
        return self.folder.name


def open_model(manifest: Path) -> LocalModel:
    """The model that `manifest` describes, its files beside it; reads no weights.

    Raises InputError when the manifest is missing or damaged, or a file that it lists is gone.
    """
    content = read_json(manifest)
    files = content.pop("files", {})
    gone = [name for name in files if not (manifest.parent / name).is_file()]
    if gone or not files:
        raise InputError(
            f"{manifest.parent}: {', '.join(gone) or 'every file'} is missing; "
            "delete the folder and rerun to fetch the model again"
        )
    try:
        return LocalModel(folder=manifest.parent, manifest_sha256=sha256_of(manifest), **content)
    except TypeError as error:
        raise InputError(
            f"{manifest}: not the manifest of a model ({error}); delete its folder and rerun"
        ) from None


def load_tokenizer(model: LocalModel) -> PreTrainedTokenizerBase:
    with quiet_transformers():
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            model.folder, local_files_only=True, trust_remote_code=False
        )
    return tokenizer


def load_weights(model: LocalModel, device: str | None = None) -> PreTrainedModel:
    """The model in evaluation mode, in its manifest's dtype.

    device: where it lies; the GPU when there is one, else the CPU, when not given.
    Raises InputError when the folder does not hold all of the model's weights.
    """
    with quiet_transformers():
        weights, report = AutoModelForCausalLM.from_pretrained(
            model.folder,
            dtype=getattr(torch, model.dtype),
            attn_implementation="sdpa",
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    _refuse_incomplete(model, report)
    loaded: PreTrainedModel = weights.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    return loaded.eval()


def checkpoint_kind(folder: Path) -> Literal["adapter", "whole"]:
    """Whether a checkpoint is a PEFT adapter or a whole model.

    Raises InputError when the folder holds neither.
    """
    # PEFT and transformers take a folder that they do not find for the name of one on the hub
    if (folder / "adapter_config.json").is_file():
        return "adapter"
    if any((folder / name).is_file() for name in (SAFE_WEIGHTS_NAME, SAFE_WEIGHTS_INDEX_NAME)):
        return "whole"
    raise InputError(
        f"{folder}: not a checkpoint (neither adapter_config.json nor {SAFE_WEIGHTS_NAME}); "
        "delete its run and train again"
    )


def _refuse_incomplete(model: LocalModel, report: dict[str, Any]) -> None:
    # transformers fills what is missing with random numbers and only warns
    absent = sorted(report["missing_keys"])
    if absent:
        raise InputError(
            f"{model.folder}: {len(absent)} weights are missing, the first is {absent[0]}; "
            "the source is not a complete model"
        )


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Hides the library's progress bars and warnings inside the block."""
    verbosity, progress = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if progress:
            logging.enable_progress_bar()
