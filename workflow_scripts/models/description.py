"""Checks a model folder and describes it in a manifest."""

from __future__ import annotations

import hashlib
import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.quantizers import AutoHfQuantizer
from transformers.tokenization_utils_base import VERY_LARGE_INTEGER

from workflow_scripts.config.models import Architecture, ModelSource
from workflow_scripts.config.training import LoraSettings
from workflow_scripts.modeling.loading import (
    DEQUANTIZED,
    LANGUAGE_MODELS,
    quantization_of,
    quiet_transformers,
    read_config,
)
from workflow_scripts.modeling.lora_targets import lora_modules, with_lora
from workflow_scripts.prompts.formats import refused_features
from workflow_scripts.runtime.errors import InputError, without_home
from workflow_scripts.runtime.files import sha256_of

_REQUIRED: dict[Architecture, tuple[str, ...]] = {
    "causal": ("num_hidden_layers", "hidden_size", "vocab_size"),
    "encoder-decoder": (
        "num_hidden_layers",
        "num_decoder_layers",
        "hidden_size",
        "vocab_size",
        "decoder_start_token_id",
    ),
}
_KINDS: dict[Architecture, str] = {"causal": "a decoder", "encoder-decoder": "an encoder-decoder"}
# in transformers, padding changes what these compute
_CHANGED_BY_PADDING = ("minimax", "recurrent_gemma", "rwkv")
_POSITIONS = "max_position_embeddings"
# tokens that T5 was trained on, for encoder-decoders whose files do not say
_LENGTH_OF_T5 = 512


def describe(settings: ModelSource, folder: Path) -> dict[str, Any]:
    """The manifest of the complete model in `folder`.

    settings: with a dtype other than `auto`.
    Raises InputError if the tokenizer is unusable, architecture, layers or width differ from the
    settings, the chat template cannot show a question and its answer, or transformers cannot load
    the model here.
    """
    config = _read_config(settings, folder)
    skeleton = _skeleton(settings, folder)
    tokenizer = _read_tokenizer(settings.source, folder)
    layers = _decoder_layers(config)
    for key, said, found in (
        ("layers", settings.layers, layers),
        ("width", settings.width, config.hidden_size),
    ):
        if said not in (None, found):
            raise InputError(
                f"{settings.source}: the weights have {key}: {found}, but the config says {said}; "
                f"correct `{key}`"
            )
    return {
        "source": without_home(settings.source),
        "revision": settings.revision,
        "dtype": settings.dtype,
        "architecture": settings.architecture,
        "quantization": settings.quantization,
        "parameters": _number_of_weights(skeleton, config),
        "layers": layers,
        "width": config.hidden_size,
        "vocabulary": config.vocab_size,
        "context_length": _context_length(settings.source, config, tokenizer),
        "vocabulary_sha256": vocabulary_sha256(tokenizer),
        "chat_template_sha256": _template_sha256(tokenizer),
        "refused_features": _refused_features(settings, folder, skeleton, tokenizer),
        "lora_modules": {} if config.is_encoder_decoder else lora_modules(skeleton),
        "files": {file.name: sha256_of(file) for file in sorted(folder.iterdir())},
    }


def vocabulary_sha256(tokenizer: PreTrainedTokenizerBase) -> str:
    """Checksum of the mapping from tokens to ids."""
    return hashlib.sha256(json.dumps(tokenizer.get_vocab(), sort_keys=True).encode()).hexdigest()


def _read_config(settings: ModelSource, folder: Path) -> PreTrainedConfig:
    """The config of the text model, with every field that its manifest needs."""
    source = settings.source
    try:
        with quiet_transformers():
            whole = read_config(folder)
    except Exception:  # whatever a config's code raises
        raise InputError(
            f"{source}: transformers does not know the model of config.json; models with their own "
            "code are refused"
        ) from None
    config = whole.get_text_config()
    found: Architecture = "encoder-decoder" if whole.is_encoder_decoder else "causal"
    if found != settings.architecture:
        raise InputError(
            f"{source}: config.json has another architecture; set `architecture: {found}`"
        )
    for key in _REQUIRED[found]:
        if getattr(config, key, None) is None:
            raise InputError(
                f"{source}: config.json of this {whole.model_type} model has no {key}; use another "
                "model"
            )
    if whole.model_type in _CHANGED_BY_PADDING:
        raise InputError(
            f"{source}: padding changes what a {whole.model_type} model computes in transformers, "
            "so its answers would depend on the batch; use another model"
        )
    _refuse_quantized(settings, whole)
    return config


def _refuse_quantized(settings: ModelSource, config: PreTrainedConfig) -> None:
    """Raises InputError if transformers cannot load the quantized weights of a checkpoint here."""
    method = quantization_of(config)
    if method is None:
        return
    if settings.quantization is not None:
        raise InputError(
            f"{settings.source}: its weights are quantized already ({method}); remove "
            f"`quantization: {settings.quantization}`"
        )
    if method in DEQUANTIZED:
        return
    try:
        with quiet_transformers():
            known = AutoHfQuantizer.supports_quant_method(config.quantization_config)
            reason = "transformers does not know this format"
            if known:
                quantizer = AutoHfQuantizer.from_config(config.quantization_config)
                quantizer.validate_environment(device_map=None)
                return
    except Exception as error:  # whatever the libraries of these formats raise
        reason = str(error).partition("\n")[0]
    raise InputError(
        f"{settings.source}: its weights are quantized ({method}) and cannot be loaded here "
        f"({reason}); use the model that was quantized"
    )


def _decoder_layers(config: PreTrainedConfig) -> int:
    name = "num_decoder_layers" if config.is_encoder_decoder else "num_hidden_layers"
    return int(getattr(config, name))


def _context_length(
    source: str, config: PreTrainedConfig, tokenizer: PreTrainedTokenizerBase
) -> int:
    """Context window of a decoder, or of an encoder-decoder's encoder.

    T5 has relative positions and Mamba none, so their configs need not say where they end.
    """
    if not config.is_encoder_decoder:
        for length in (getattr(config, _POSITIONS, None), tokenizer.model_max_length):
            if length is not None and length < VERY_LARGE_INTEGER:
                return int(length)
        raise InputError(
            f"{source}: config.json of this {config.model_type} model has no {_POSITIONS} and "
            "tokenizer_config.json no model_max_length, so nothing says how many tokens it was "
            "trained to read; add model_max_length in a copy of its folder"
        )
    positions = getattr(config, "n_positions", None)
    if positions is not None:
        return int(positions)
    # 10^30 if the tokenizer does not say
    said = tokenizer.model_max_length
    return int(said) if said < VERY_LARGE_INTEGER else _LENGTH_OF_T5


def _skeleton(settings: ModelSource, folder: Path) -> PreTrainedModel:
    """The model without weights, on torch's meta device.

    Raises InputError if transformers cannot build the model as `load_weights` does.
    """
    config = read_config(folder)
    if not config.is_encoder_decoder and type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise InputError(
            f"{settings.source}: transformers has no causal language model for {config.model_type} "
            "models; use another model"
        )
    try:
        with torch.device("meta"), quiet_transformers():
            model: PreTrainedModel = LANGUAGE_MODELS[settings.architecture].from_config(
                config, trust_remote_code=False
            )
    except Exception as error:  # whatever a model's code raises
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"{settings.source}: {config.model_type} is not {_KINDS[settings.architecture]} that "
            f"transformers can build ({reason}); use another model"
        ) from None
    return model


def _number_of_weights(model: PreTrainedModel, config: PreTrainedConfig) -> int:
    """Number of parameters, counting tied weights once."""
    weights = sum(weight.numel() for weight in model.parameters())
    # T5 1.1 and FLAN-T5 have an untied head, which transformers notices only when it loads them
    if not getattr(config, "scale_decoder_outputs", True):
        weights += config.vocab_size * config.hidden_size
    return int(weights)


def _read_tokenizer(source: str, folder: Path) -> PreTrainedTokenizerBase:
    try:
        with quiet_transformers():
            tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
    except (ValueError, KeyError, OSError, ImportError):
        raise InputError(f"{source}: has no readable tokenizer; add its files") from None
    if not tokenizer.is_fast or tokenizer.eos_token is None:
        raise InputError(f"{source}: needs a fast tokenizer (tokenizer.json) with an end token")
    return tokenizer


def _refused_features(
    settings: ModelSource,
    folder: Path,
    skeleton: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
) -> dict[str, str]:
    """Features that the model lacks; a study asks none of an encoder-decoder."""
    if settings.architecture == "encoder-decoder":
        return {}
    try:
        refused = refused_features(tokenizer)
    except InputError as error:
        raise InputError(f"{settings.source}: {error}") from None
    config = read_config(folder)
    if type(config) not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING:
        reason = f"transformers has no classification head for {config.model_type} models"
        refused["classification"] = reason
    quantized = quantization_of(config)
    if quantized not in (None, *DEQUANTIZED):
        refused["training"] = f"its weights are quantized ({quantized}), which cannot be trained"
    for modules in ("all-linear", "attention"):
        try:
            with_lora(deepcopy(skeleton), LoraSettings(target_modules=modules), "CAUSAL_LM")
        except InputError as error:
            refused[f"LoRA {modules}"] = str(error).partition(": ")[2].partition(";")[0]
    return refused


def _template_sha256(tokenizer: PreTrainedTokenizerBase) -> str | None:
    if not tokenizer.chat_template:
        return None
    return hashlib.sha256(tokenizer.get_chat_template().encode()).hexdigest()
