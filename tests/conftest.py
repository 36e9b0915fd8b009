"""What every test shares: few threads, and the tiny tokenizers as fixtures."""

from __future__ import annotations

import os

# Tests run side by side, and tiny models gain nothing from more threads. It is said in the
# environment for the processes that tests start, and before torch is imported, which reads it once.
os.environ |= {"OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}

import pytest
from transformers import PreTrainedTokenizerFast

from tests.tiny_tokenizers import (
    QWEN3_TEMPLATE,
    SMOLLM2_TEMPLATE,
    build_sentencepiece,
    build_tokenizer,
)


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
