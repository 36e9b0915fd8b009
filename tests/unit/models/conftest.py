from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from tests.tiny_models import tiny_model


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of two layers with random weights and a tokenizer of a few words."""
    folder = tmp_path_factory.mktemp("sources") / "tiny"
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=16,
        hidden_size=8,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=64,
        eos_token_id=1,
        pad_token_id=1,
    )
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    words = {"<unk>": 0, "<end>": 1, "cat": 2, "cats": 3}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<end>",
        unk_token="<unk>",
        pad_token="<end>",
        chat_template="{% for m in messages %}{{ m.content }}<end>{% endfor %}",
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def t5_folder(
    tmp_path_factory: pytest.TempPathFactory, t5_tokenizer: PreTrainedTokenizerBase
) -> Path:
    """A random T5 of three layers with its tokenizer."""
    folder = tmp_path_factory.mktemp("sources") / "t5"
    tiny_model("t5").save_pretrained(folder)
    t5_tokenizer.save_pretrained(folder)
    return folder
