"""What every test shares: few threads, and the tiny tokenizers as fixtures."""

from __future__ import annotations

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from tests.tiny_tokenizers import (
    QWEN3_TEMPLATE,
    SMOLLM2_TEMPLATE,
    build_sentencepiece,
    build_tokenizer,
)

# tests run side by side, and tiny models gain nothing from more threads
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def smollm2_tokenizer() -> PreTrainedTokenizerFast:
    return build_tokenizer(SMOLLM2_TEMPLATE)


@pytest.fixture(scope="session")
def qwen3_tokenizer() -> PreTrainedTokenizerFast:
    return build_tokenizer(QWEN3_TEMPLATE)


@pytest.fixture(scope="session")
def base_tokenizer() -> PreTrainedTokenizerFast:
    return build_tokenizer(None)


@pytest.fixture(scope="session")
def t5_tokenizer() -> PreTrainedTokenizerFast:
    return build_sentencepiece()
