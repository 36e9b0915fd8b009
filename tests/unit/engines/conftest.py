"""Tiny models in a folder, as the `models` stage leaves them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from peft import LoraConfig, get_peft_model
from transformers import PreTrainedTokenizerBase

from tests.tiny_models import CONTEXT, LAYERS, VOCABULARY, WIDTH, tiny_model
from workflow_scripts.engines.loading import LocalModel


@pytest.fixture
def local_model(
    tmp_path: Path, smollm2_tokenizer: PreTrainedTokenizerBase
) -> Callable[[str], LocalModel]:
    def save(family: str) -> LocalModel:
        folder = tmp_path / family
        tiny_model(family).save_pretrained(folder)
        smollm2_tokenizer.save_pretrained(folder)
        return LocalModel(
            folder=folder,
            source="tiny",
            revision=None,
            dtype="float32",
            parameters=sum(p.numel() for p in tiny_model(family).parameters()),
            layers=LAYERS,
            width=WIDTH,
            vocabulary=VOCABULARY,
            context_length=CONTEXT,
            chat_template_sha256=None,
            manifest_sha256="0" * 64,
        )

    return save


@pytest.fixture
def adapter(tmp_path: Path) -> Callable[[str, int], Path]:
    """Folder of a random adapter that changes what the model says."""

    def save(family: str, seed: int) -> Path:
        import torch

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
