"""What every test shares: few threads, and the tiny tokenizers as fixtures."""

from __future__ import annotations

import os

# Tests run side by side, and tiny models gain nothing from more threads. It is said in the
# environment for the processes that tests start, and before torch is imported, which reads it once.
os.environ |= {"OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}

import pytest
from transformers import PreTrainedTokenizerFast

from tests.tiny_models import ENCODER_DECODERS
from tests.tiny_tokenizers import (
    QWEN3_TEMPLATE,
    SMOLLM2_TEMPLATE,
    build_bart,
    build_gemma,
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


@pytest.fixture(scope="session")
def encoder_decoder_tokenizers(t5_tokenizer) -> dict[str, PreTrainedTokenizerFast]:
    """Type of encoder-decoder → a tokenizer that treats special tokens as its own does."""
    bart, gemma = build_bart(), build_gemma()
    own = {"bart": bart, "led": bart, "t5gemma": gemma, "t5gemma2": gemma}
    return {family: own.get(family, t5_tokenizer) for family in ENCODER_DECODERS}
