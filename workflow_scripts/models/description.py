"""What a model folder holds: checked, and written down as its manifest."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
)

from workflow_scripts.engines.loading import quiet_transformers
from workflow_scripts.errors import InputError, without_home
from workflow_scripts.files import read_json, sha256_of
from workflow_scripts.settings import ModelSource


def describe(settings: ModelSource, folder: Path) -> dict[str, Any]:
    """The manifest of the model in `folder`.

    Raises InputError when the folder lacks config, safetensors or a usable tokenizer, or holds
    another number of layers or another width than the settings say.
    """
    _refuse_missing_files(settings.source, folder)
    config = _read_config(settings.source, folder)
    tokenizer = _read_tokenizer(settings.source, folder)
    for key, said, found in (
        ("layers", settings.layers, config.num_hidden_layers),
        ("width", settings.width, config.hidden_size),
    ):
        if said not in (None, found):
            raise InputError(
                f"{settings.source}: the weights have {key}: {found}, but the config says {said}"
            )
    return {
        "source": without_home(settings.source),
        "revision": settings.revision,
        "dtype": settings.dtype,
        "parameters": _number_of_weights(settings.source, config),
        "layers": config.num_hidden_layers,
        "width": config.hidden_size,
        "vocabulary": config.vocab_size,
        "context_length": config.max_position_embeddings,
        "vocabulary_sha256": vocabulary_sha256(tokenizer),
        "chat_template_sha256": _template_sha256(tokenizer),
        "files": {file.name: sha256_of(file) for file in sorted(folder.iterdir())},
    }


def vocabulary_sha256(tokenizer: PreTrainedTokenizerBase) -> str:
    """Of the mapping from tokens to ids, which two models share that have the same tokens."""
    return hashlib.sha256(json.dumps(tokenizer.get_vocab(), sort_keys=True).encode()).hexdigest()


def weight_files(folder: Path) -> list[str]:
    """Names of the safetensors that the model in `folder` needs, there or not."""
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        return sorted(set(read_json(index)["weight_map"].values()))
    return ["model.safetensors"]


def _refuse_missing_files(source: str, folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise InputError(f"{source}: not a model folder: it has no config.json")
    absent = [name for name in weight_files(folder) if not (folder / name).is_file()]
    if absent:
        raise InputError(
            f"{source}: has no {absent[0]}; weights must be safetensors (pickled ones are refused)"
        )


def _read_config(source: str, folder: Path) -> PreTrainedConfig:
    """The text model's config; it has all that a decoder's manifest says."""
    try:
        with quiet_transformers():
            config = AutoConfig.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            ).get_text_config()
    except (ValueError, KeyError, OSError):
        raise InputError(
            f"{source}: config.json is not that of a model that transformers knows; "
            "models that bring their own code are refused"
        ) from None
    for key in ("num_hidden_layers", "hidden_size", "vocab_size", "max_position_embeddings"):
        if getattr(config, key, None) is None:
            raise InputError(f"{source}: config.json says no {key}: this is not a decoder")
    return config


def _number_of_weights(source: str, config: PreTrainedConfig) -> int:
    """Tied weights count once, also where the files hold both copies; nothing is loaded."""
    try:
        with torch.device("meta"), quiet_transformers():
            model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    except (ValueError, KeyError):
        raise InputError(
            f"{source}: {config.model_type} is no decoder that transformers can build"
        ) from None
    return sum(weight.numel() for weight in model.parameters())


def _read_tokenizer(source: str, folder: Path) -> PreTrainedTokenizerBase:
    try:
        with quiet_transformers():
            tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
    except (ValueError, KeyError, OSError, ImportError):
        raise InputError(f"{source}: has no tokenizer that can be read") from None
    if not tokenizer.is_fast or tokenizer.eos_token is None:
        raise InputError(
            f"{source}: its tokenizer must be a fast one (tokenizer.json) with an end token"
        )
    return tokenizer


def _template_sha256(tokenizer: PreTrainedTokenizerBase) -> str | None:
    if not tokenizer.chat_template:
        return None
    return hashlib.sha256(tokenizer.get_chat_template().encode()).hexdigest()
