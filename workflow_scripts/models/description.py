"""Checks a model folder and describes it in a manifest."""

from __future__ import annotations

import hashlib
import json
import math
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
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
from workflow_scripts.modeling.encoder_decoder_forcing import decoder_prefix
from workflow_scripts.modeling.loading import (
    DEQUANTIZED,
    LANGUAGE_MODELS,
    quantization_of,
    quiet_transformers,
    read_config,
    read_generation_config,
)
from workflow_scripts.modeling.lora_targets import lora_modules, with_lora
from workflow_scripts.prompts.formats import put_around, refused_features
from workflow_scripts.runtime.checksums import sha256_of
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.home import without_home

_REQUIRED: dict[Architecture, tuple[str, ...]] = {
    "causal": ("num_hidden_layers", "hidden_size", "vocab_size"),
    "encoder-decoder": ("num_hidden_layers", "hidden_size", "vocab_size"),
}
_KINDS: dict[Architecture, str] = {"causal": "a decoder", "encoder-decoder": "an encoder-decoder"}
# reason → types that are refused for it
_REFUSED_TYPES: dict[str, tuple[str, ...]] = {
    "padding changes what {} models compute in transformers: answers would depend on the batch": (
        "bigbird_pegasus",
        "fsmt",
        "minimax",
        "recurrent_gemma",
        "rwkv",
    ),
    "experts of {} models take a limited number of tokens: answers would depend on the batch": (
        "switch_transformers",
    ),
    "{} models need a token for the language of prompt and answer, which no study file names": (
        "m2m_100",
        "mbart",
        "nllb-moe",
        "plbart",
        "seamless_m4t",
        "seamless_m4t_v2",
    ),
    "{} models predict several tokens at once": ("prophetnet",),
    "{} models join two models, whose tokenizers may differ": ("encoder-decoder",),
}
# in a generation config, tokens that transformers' `generate` never chooses
_FORBIDDEN = ("bad_words_ids", "suppress_tokens", "begin_suppress_tokens")
# where the positions of an encoder or decoder end
_POSITIONS = (
    "max_position_embeddings",
    "max_encoder_position_embeddings",
    "max_decoder_position_embeddings",
    "n_positions",
)
# of a head and of the embeddings, to see whether they are one
_COMPARED_ROWS = 64
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
    layers = getattr(config, "num_decoder_layers", None) or config.num_hidden_layers
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
        "parameters": _number_of_weights(skeleton, folder),
        "layers": layers,
        "width": config.hidden_size,
        "vocabulary": config.vocab_size,
        "context_length": (
            _length_of_decoder(settings.source, config, tokenizer)
            if settings.architecture == "causal"
            else _length_of_encoder_decoder(settings.source, folder, tokenizer)
        ),
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
    """The config of the decoder, with every field that the manifest needs."""
    source = settings.source
    try:
        with quiet_transformers():
            whole = read_config(folder)
    except Exception:  # whatever a config's code raises
        raise InputError(
            f"{source}: transformers does not know the model of config.json; models with their own "
            "code are refused"
        ) from None
    found: Architecture = "encoder-decoder" if whole.is_encoder_decoder else "causal"
    if found != settings.architecture:
        raise InputError(
            f"{source}: config.json has another architecture; set `architecture: {found}`"
        )
    for reason, types in _REFUSED_TYPES.items():
        if whole.model_type in types:
            raise InputError(f"{source}: {reason.format(whole.model_type)}; use another model")
    config = whole.get_text_config(decoder=True if whole.is_encoder_decoder else None)
    for key in _REQUIRED[found]:
        if getattr(config, key, None) is None:
            raise InputError(
                f"{source}: config.json of this {whole.model_type} model has no {key}; use another "
                "model"
            )
    _refuse_quantized(settings, whole)
    return config


def _length_of_encoder_decoder(
    source: str, folder: Path, tokenizer: PreTrainedTokenizerBase
) -> int:
    """Tokens that fit the encoder and, as an answer, the decoder.

    T5 has relative positions, so its config need not say where they end.
    Raises InputError if the generation config does not say how answers start, or forbids tokens.
    """
    generation = read_generation_config(folder)
    prefix = decoder_prefix(generation)
    if not prefix:
        raise InputError(
            f"{source}: neither generation_config.json nor config.json has decoder_start_token_id "
            "or bos_token_id, so it is not known how answers start; add it to a local copy"
        )
    for key in _FORBIDDEN:
        if getattr(generation, key) is not None:
            raise InputError(
                f"{source}: generation_config.json forbids tokens ({key}), but a teacher's "
                "probabilities are over its whole vocabulary; use another model"
            )
    whole = read_config(folder)
    parts = [whole, whole.get_text_config(decoder=True)]
    if isinstance(encoder := getattr(whole, "encoder", None), PreTrainedConfig):
        parts.append(encoder.get_text_config())
    said = [getattr(part, key, None) for part in parts for key in _POSITIONS]
    lengths = [length for length in said if length is not None]
    if not lengths:
        # 10^30 if the tokenizer does not say
        length = tokenizer.model_max_length
        return int(length) if length < VERY_LARGE_INTEGER else _LENGTH_OF_T5
    # a decoder reads its prefix, with a first token that may be forced, and all but an answer's end
    before, _ = put_around(tokenizer)
    return int(min(lengths)) - len({*prefix, *before}) + 1


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


def _length_of_decoder(
    source: str, config: PreTrainedConfig, tokenizer: PreTrainedTokenizerBase
) -> int:
    """Context window of a decoder; Mamba has no positions, so its tokenizer has to say it."""
    for length in (getattr(config, _POSITIONS[0], None), tokenizer.model_max_length):
        if length is not None and length < VERY_LARGE_INTEGER:
            return int(length)
    raise InputError(
        f"{source}: config.json of this {config.model_type} model has no {_POSITIONS[0]} and "
        "tokenizer_config.json no model_max_length, so nothing says how many tokens it was "
        "trained to read; add model_max_length in a copy of its folder"
    )


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


def _number_of_weights(model: PreTrainedModel, folder: Path) -> int:
    """Number of parameters, counting tied weights once."""
    weights = sum(weight.numel() for weight in model.parameters())
    if model.config.is_encoder_decoder and model.config.tie_word_embeddings:
        weights += _size_of_own_head(folder)
    return int(weights)


def _size_of_own_head(folder: Path) -> int:
    """Parameters of the head of a T5 1.1, FLAN-T5, mT5 or umT5; 0 if it is tied to the embeddings.

    transformers believes that all of these are tied, until it loads their weights.
    """
    size, rows = 0, []
    for file in folder.glob("*.safetensors"):
        with safe_open(file, framework="pt") as tensors:
            for name in {"lm_head.weight", "shared.weight"} & set(tensors.keys()):
                weight = tensors.get_slice(name)
                size = math.prod(weight.get_shape())
                rows.append(weight[:_COMPARED_ROWS])
    own = len(rows) == 2 and not torch.equal(*rows)
    return size if own else 0


def _read_tokenizer(source: str, folder: Path) -> PreTrainedTokenizerBase:
    try:
        with quiet_transformers():
            tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
    except Exception:  # whatever a tokenizer's code raises
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
