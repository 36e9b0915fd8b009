"""What a model folder holds: checked, and written down as its manifest."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, PreTrainedConfig, PreTrainedTokenizerBase
from transformers.tokenization_utils_base import VERY_LARGE_INTEGER

from workflow_scripts.config.models import Architecture, ModelSource
from workflow_scripts.modeling.loading import LANGUAGE_MODELS, quiet_transformers, read_config
from workflow_scripts.prompts.formats import refused_features
from workflow_scripts.runtime.errors import InputError, without_home
from workflow_scripts.runtime.files import sha256_of

_REQUIRED: dict[Architecture, tuple[str, ...]] = {
    "causal": ("num_hidden_layers", "hidden_size", "vocab_size", "max_position_embeddings"),
    "encoder-decoder": (
        "num_hidden_layers",
        "num_decoder_layers",
        "hidden_size",
        "vocab_size",
        "decoder_start_token_id",
    ),
}
_KINDS: dict[Architecture, str] = {"causal": "a decoder", "encoder-decoder": "an encoder-decoder"}
# transformers lets padding change what these compute, so batches would change answers
_CHANGED_BY_PADDING = ("minimax", "recurrent_gemma", "rwkv")
# what an encoder-decoder with relative positions was trained on, where its files say nothing: T5's
_LENGTH_OF_T5 = 512


def describe(settings: ModelSource, folder: Path) -> dict[str, Any]:
    """The manifest of the model in `folder`, whose files are whole.

    settings: with its dtype settled.
    Raises InputError when the tokenizer is not usable, the folder holds another architecture,
    number of layers or width than the settings say, or the chat template cannot show a question
    and its answer.
    """
    config = _read_config(settings, folder)
    tokenizer = _read_tokenizer(settings.source, folder)
    layers = _decoder_layers(config)
    for key, said, found in (
        ("layers", settings.layers, layers),
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
        "architecture": settings.architecture,
        "quantization": settings.quantization,
        "parameters": _number_of_weights(settings, folder),
        "layers": layers,
        "width": config.hidden_size,
        "vocabulary": config.vocab_size,
        "context_length": _context_length(config, tokenizer),
        "vocabulary_sha256": vocabulary_sha256(tokenizer),
        "chat_template_sha256": _template_sha256(tokenizer),
        "refused_features": _refused_features(settings, tokenizer),
        "files": {file.name: sha256_of(file) for file in sorted(folder.iterdir())},
    }


def vocabulary_sha256(tokenizer: PreTrainedTokenizerBase) -> str:
    """Of the mapping from tokens to ids, which two models share that have the same tokens."""
    return hashlib.sha256(json.dumps(tokenizer.get_vocab(), sort_keys=True).encode()).hexdigest()


def _read_config(settings: ModelSource, folder: Path) -> PreTrainedConfig:
    """The text model's config; it has all that the manifest of its architecture says."""
    source = settings.source
    try:
        with quiet_transformers():
            whole = read_config(folder)
    except Exception:  # whatever a config's code raises at values that it cannot use
        raise InputError(
            f"{source}: config.json is not that of a model that transformers knows; "
            "models that bring their own code are refused"
        ) from None
    config = whole.get_text_config()
    found: Architecture = "encoder-decoder" if whole.is_encoder_decoder else "causal"
    if found != settings.architecture:
        raise InputError(
            f"{source}: config.json is that of another architecture; set `architecture: {found}`"
        )
    for key in _REQUIRED[found]:
        if getattr(config, key, None) is None:
            raise InputError(
                f"{source}: config.json of this {whole.model_type} model has no {key}, which is "
                "needed here; use another model"
            )
    if whole.model_type in _CHANGED_BY_PADDING:
        raise InputError(
            f"{source}: padding changes what a {whole.model_type} model computes in transformers, "
            "so its answers would depend on the batch; use another model"
        )
    return config


def _decoder_layers(config: PreTrainedConfig) -> int:
    name = "num_decoder_layers" if config.is_encoder_decoder else "num_hidden_layers"
    return int(getattr(config, name))


def _context_length(config: PreTrainedConfig, tokenizer: PreTrainedTokenizerBase) -> int:
    """Tokens that a decoder reads; of an encoder-decoder those that its encoder was made for.

    T5 counts positions relatively, so no config says where they end.
    """
    if not config.is_encoder_decoder:
        return int(config.max_position_embeddings)
    positions = getattr(config, "n_positions", None)
    if positions is not None:
        return int(positions)
    # a tokenizer that says nothing has 10^30 here
    said = tokenizer.model_max_length
    return int(said) if said < VERY_LARGE_INTEGER else _LENGTH_OF_T5


def _number_of_weights(settings: ModelSource, folder: Path) -> int:
    """Tied weights count once, also where the files hold both copies; nothing is loaded.

    Raises InputError when transformers cannot build the model as `load_weights` does.
    """
    config = read_config(folder)
    try:
        with torch.device("meta"), quiet_transformers():
            model = LANGUAGE_MODELS[settings.architecture].from_config(
                config, trust_remote_code=False
            )
    except Exception as error:  # whatever a model's code raises at values that it cannot use
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"{settings.source}: {config.model_type} is not {_KINDS[settings.architecture]} that "
            f"transformers can build ({reason}); use another model"
        ) from None
    weights = sum(weight.numel() for weight in model.parameters())
    # T5 1.1 and FLAN-T5 have a head of their own, which transformers finds out when it loads them
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
        raise InputError(f"{source}: has no tokenizer that can be read") from None
    if not tokenizer.is_fast or tokenizer.eos_token is None:
        raise InputError(
            f"{source}: its tokenizer must be a fast one (tokenizer.json) with an end token"
        )
    return tokenizer


def _refused_features(settings: ModelSource, tokenizer: PreTrainedTokenizerBase) -> dict[str, str]:
    """What the chat template cannot show; an encoder-decoder is never asked through one."""
    if settings.architecture == "encoder-decoder":
        return {}
    try:
        return refused_features(tokenizer)
    except InputError as error:
        raise InputError(f"{settings.source}: {error}") from None


def _template_sha256(tokenizer: PreTrainedTokenizerBase) -> str | None:
    if not tokenizer.chat_template:
        return None
    return hashlib.sha256(tokenizer.get_chat_template().encode()).hexdigest()
