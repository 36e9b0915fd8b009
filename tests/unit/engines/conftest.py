"""Tiny models in a folder, as the `models` stage leaves them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tests.tiny_models import CONTEXT, ENCODER_DECODERS, LAYERS, VOCABULARY, WIDTH, tiny_model
from workflow_scripts.modeling.loading import BIASES, LocalModel


@pytest.fixture
def local_model(
    tmp_path: Path,
    smollm2_tokenizer: PreTrainedTokenizerBase,
    encoder_decoder_tokenizers: dict[str, PreTrainedTokenizerBase],
) -> Callable[[str], LocalModel]:
    def save(family: str) -> LocalModel:
        folder = tmp_path / family
        encodes = family in ENCODER_DECODERS
        tiny_model(family).save_pretrained(folder)
        encoder_decoder_tokenizers.get(family, smollm2_tokenizer).save_pretrained(folder)
        return LocalModel(
            folder=folder,
            source="tiny",
            revision=None,
            dtype="float32",
            architecture="encoder-decoder" if encodes else "causal",
            quantization=None,
            parameters=sum(p.numel() for p in tiny_model(family).parameters()),
            layers=LAYERS,
            width=WIDTH,
            vocabulary=VOCABULARY,
            vocabulary_sha256="0" * 64,
            context_length=CONTEXT,
            chat_template_sha256=None,
            manifest_sha256="0" * 64,
        )

    return save


@pytest.fixture
def adapter(tmp_path: Path) -> Callable[[str, int], Path]:
    """Folder of a random adapter that changes what the model says."""

    def save(family: str, seed: int) -> Path:
        model = get_peft_model(
            tiny_model(family), LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")
        )
        torch.manual_seed(seed)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if "lora_B" in name:
                    parameter.normal_(std=0.5)
        folder = tmp_path / f"{family}-adapter-{seed}"
        model.save_pretrained(folder)
        return folder

    return save


def fully_trained(family: str, seed: int) -> PreTrainedModel:
    model = tiny_model(family)
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


@pytest.fixture
def whole_model(tmp_path: Path) -> Callable[[str, int], Path]:
    """Folder of a model of the family whose every weight was trained."""

    def save(family: str, seed: int) -> Path:
        folder = tmp_path / f"{family}-whole-{seed}"
        fully_trained(family, seed).save_pretrained(folder, max_shard_size="20KB")
        return folder

    return save


def bias_trained(family: str, seed: int) -> PreTrainedModel:
    model = tiny_model(family)
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.add_(torch.randn_like(parameter))
    return model


@pytest.fixture
def biases(tmp_path: Path) -> Callable[[str, int], Path]:
    """Folder of the bias terms of a model of the family, which alone were trained."""

    def save(family: str, seed: int) -> Path:
        folder = tmp_path / f"{family}-biases-{seed}"
        folder.mkdir()
        named = bias_trained(family, seed).named_parameters()
        save_file(
            {name: weight.detach() for name, weight in named if name.endswith("bias")},
            folder / BIASES,
        )
        return folder

    return save
