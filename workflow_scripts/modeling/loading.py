"""A model's folder, tokenizer and weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import safe_open
from transformers import (
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BitsAndBytesConfig,
    GenerationConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME, logging

from workflow_scripts.config.models import Architecture
from workflow_scripts.modeling.encoder_decoder_forcing import force_first_token
from workflow_scripts.modeling.unchanged_files import refuse_changed
from workflow_scripts.runtime.checksums import checked, sha256_of
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import read_json

# a checkpoint of bias terms: the trained tensors by their names in the transformers model
BIASES = "biases.safetensors"
# the weights of a classification head, as every causal family of transformers names it
HEAD = "score.weight"
# formats of quantized weights that transformers turns into plain ones while it loads them
DEQUANTIZED = ("fp8", "mxfp4")
# transformers classes with a language head
LANGUAGE_MODELS: dict[Architecture, Any] = {
    "causal": AutoModelForCausalLM,
    "encoder-decoder": AutoModelForSeq2SeqLM,
}


@dataclass(frozen=True)
class LocalModel:
    """A fetched model, as its manifest describes it.

    quantization: format of the linear layers where it is not `dtype`.
    parameters: number of weights, tied ones counted once.
    layers: of the decoder.
    width: of the residual stream, which every decoder layer returns.
    vocabulary: length of a row of logits.
    vocabulary_sha256: of the tokenizer's mapping from tokens to ids.
    context_length: tokens; an encoder-decoder takes as many in the encoder, and again as an answer.
    chat_template_sha256: None for a base model, which has no chat template.
    manifest_sha256: of the manifest, which holds the checksums of the model's files.
    """

    folder: Path
    source: str
    revision: str | None
    dtype: str
    architecture: Architecture
    quantization: Literal["nf4"] | None
    parameters: int
    layers: int
    width: int
    vocabulary: int
    vocabulary_sha256: str
    context_length: int
    chat_template_sha256: str | None
    manifest_sha256: str

    @property
    def name(self) -> str:
        return self.folder.name


def open_model(manifest: Path) -> LocalModel:
    """The model that `manifest` describes, with its files beside it; reads no weights.

    Raises InputError when the manifest is missing or damaged, or a file that it lists is gone or
    has changed.
    """
    content = read_json(checked(manifest))
    refuse_changed(manifest.parent, content.pop("files", {}))
    for name in ("refused_features", "lora_modules"):  # for the plan
        content.pop(name, None)
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
    """The model in evaluation mode, in its manifest's dtype and quantization.

    device: by default the GPU if there is one, else the CPU.
    Raises InputError when weights are missing from the folder, the model is quantized and there is
    no GPU or bitsandbytes is not installed, or its outputs exceed the range of float16.
    """
    options = {} if model.quantization is None else {"quantization_config": _nf4(model)}
    weights, absent = weights_in(
        model.folder, LANGUAGE_MODELS[model.architecture], model.dtype, **options
    )
    _refuse_incomplete(model, absent)
    text = weights.config.get_text_config(decoder=True)
    if text is not weights.config and text.pad_token_id is None:
        text.pad_token_id = _padding(model)  # Gemma 4 reads it where an image would be
    if weights.config.model_type == "umt5":
        # it scales what a tied head reads, but transformers 5 believes that every head is tied
        head, embeddings = weights.get_output_embeddings(), weights.get_input_embeddings()
        weights.config.tie_word_embeddings = head.weight is embeddings.weight
    placed = _placed(weights, device)
    if model.architecture == "encoder-decoder":
        force_first_token(placed, load_tokenizer(model))
    return _refuse_overflow(model, placed)


def load_classifier(model: LocalModel, labels: int, device: str | None = None) -> PreTrainedModel:
    """The model with a new linear head over labels instead of its language head.

    The head is random, from torch's seed. It reads each row's last token that is not padding, so
    rows are padded on the right with `config.pad_token_id`, and no prompt may end in that token.

    labels: their number. device: as in `load_weights`.
    Raises InputError when transformers has no such head for this type of model, or other weights
    are missing from the folder.
    """
    config = read_config(model.folder)
    if type(config) not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING:
        raise InputError(
            f"models.{model.name}: transformers has no classification head for "
            f"{config.model_type} models; use another model, or a condition without a head"
        )
    config.num_labels = labels
    classifier, absent = weights_in(
        model.folder, AutoModelForSequenceClassification, model.dtype, config=config
    )
    _refuse_incomplete(model, [name for name in absent if name != HEAD])
    padding = _padding(model)
    # image-text models read the padding token of their text part
    for part in (classifier.config, classifier.config.get_text_config()):
        part.pad_token_id = padding
    return _refuse_overflow(model, _placed(classifier, device))


def read_config(folder: Path) -> PreTrainedConfig:
    """The config from which a model is built, here and when it is fetched.

    Attention is transformers' default: SDPA where the model supports it, else "eager". Quantized
    weights become plain ones where they can: by default transformers does so only without a GPU.
    """
    config: PreTrainedConfig = AutoConfig.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False
    )
    # some config.json ask for flash attention, which may not be installed
    config._attn_implementation = None
    if quantization_of(config) in DEQUANTIZED:
        config.quantization_config["dequantize"] = True
    return config


def read_generation_config(folder: Path) -> GenerationConfig:
    """The generation config of a model's folder, or the one that its config.json implies."""
    with quiet_transformers():
        if (folder / "generation_config.json").is_file():
            return GenerationConfig.from_pretrained(folder, local_files_only=True)
        return GenerationConfig.from_model_config(read_config(folder))


def quantization_of(config: PreTrainedConfig) -> str | None:
    """Format of a checkpoint's quantized weights, `gptq` for example; None if they are plain."""
    settings = getattr(config, "quantization_config", None)
    return None if settings is None else str(settings.get("quant_method"))


def weights_in(
    folder: Path,
    auto_class: Any,
    dtype: str,
    config: PreTrainedConfig | None = None,
    **options: Any,
) -> tuple[PreTrainedModel, list[str]]:
    """A model on the CPU, and the names of weights missing from the folder, which are random.

    auto_class: of transformers, which chooses the head. config: by default the folder's own.
    options: of `from_pretrained`.
    """
    config = config or read_config(folder)
    dequantized = quantization_of(config) in DEQUANTIZED
    with quiet_transformers():
        weights, report = auto_class.from_pretrained(
            folder,
            config=config,
            dtype=getattr(torch, dtype),
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
            **options,
        )
    if dequantized:  # transformers leaves experts in bfloat16
        weights = weights.to(getattr(torch, dtype))
    return weights, sorted(report["missing_keys"])


def checkpoint_kind(folder: Path) -> Literal["adapter", "biases", "whole"]:
    """Whether a checkpoint is a PEFT adapter, the bias terms alone, or a whole model.

    Raises InputError when the folder holds none of them.
    """
    # PEFT and transformers look up a folder that does not exist as a name on the hub
    if (folder / "adapter_config.json").is_file():
        return "adapter"
    if (folder / BIASES).is_file():
        return "biases"
    if any((folder / name).is_file() for name in (SAFE_WEIGHTS_NAME, SAFE_WEIGHTS_INDEX_NAME)):
        return "whole"
    raise InputError(
        f"{folder}: not a checkpoint (neither adapter_config.json, {BIASES} nor "
        f"{SAFE_WEIGHTS_NAME}); delete its run and train again"
    )


def labels_of_head(folder: Path) -> int | None:
    """Number of labels of a checkpoint's classification head; None without such a head.

    Raises InputError when the folder holds no checkpoint.
    """
    kind = checkpoint_kind(folder)
    if kind == "whole":
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        (architecture,) = config.architectures
        classifies = architecture.endswith("ForSequenceClassification")
        return int(config.num_labels) if classifies else None
    file, name = (
        ("adapter_model.safetensors", f"base_model.model.{HEAD}")
        if kind == "adapter"
        else (BIASES, HEAD)
    )
    with safe_open(folder / file, framework="pt") as tensors:
        present = name in tensors.keys()  # noqa: SIM118
        return int(tensors.get_slice(name).get_shape()[0]) if present else None


def _nf4(model: LocalModel) -> BitsAndBytesConfig:
    """Linear layers in 4 bits, computed in the model's dtype (Dettmers et al. 2023, 2305.14314)."""
    if not torch.cuda.is_available():
        raise InputError(
            f"models.{model.name}.quantization: nf4 needs a CUDA GPU; run this job on one, or "
            "leave `quantization` out"
        )
    if find_spec("bitsandbytes") is None:
        raise InputError(
            f"models.{model.name}.quantization: nf4 needs bitsandbytes, which is not installed; "
            "run `make setup-quantization`"
        )
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=getattr(torch, model.dtype),
    )


def _placed(weights: PreTrainedModel, device: str | None) -> PreTrainedModel:
    loaded: PreTrainedModel = weights.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    return loaded.eval()


def _padding(model: LocalModel) -> int:
    """The padding token, by default the end token."""
    tokenizer = load_tokenizer(model)
    padding = tokenizer.pad_token_id
    return int(tokenizer.eos_token_id if padding is None else padding)


def _refuse_overflow(model: LocalModel, weights: PreTrainedModel) -> PreTrainedModel:
    """The weights, after a pass over a token where the dtype has a small range.

    Models trained in bfloat16 may hold values that float16, up to 65,504, does not. Their answers
    would be arbitrary and their losses not numbers, without any error.
    """
    if model.dtype == "float16":
        ids = torch.ones(1, 1, dtype=torch.long, device=weights.device)
        start = {"decoder_input_ids": ids} if weights.config.is_encoder_decoder else {}
        with torch.inference_mode(), quiet_transformers():
            logits = weights(input_ids=ids, **start).logits
        if not logits.isfinite().all():
            raise InputError(
                f"models.{model.name}.dtype: the model's values exceed the range of float16; write "
                "bfloat16 or float32"
            )
    return weights


def _refuse_incomplete(model: LocalModel, absent: Sequence[str]) -> None:
    # transformers fills missing weights with random numbers and only warns
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
