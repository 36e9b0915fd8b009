"""Kinds of models that are trained from scratch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

from workflow_scripts.config.models import ScratchSettings
from workflow_scripts.pretraining.vocabulary import byte_tokenizer, sentencepiece_tokenizer
from workflow_scripts.prompts.rendering import Rendering

_IGNORED = -100  # label that the loss ignores


@dataclass(frozen=True)
class Kind:
    """How to make a model of one kind.

    tokenizer: (texts, size of the vocabulary at most) → a tokenizer trained on them.
    model: with random weights, from torch's seed, for that tokenizer.
    batch: keyword arguments of the model, with the answers' tokens as `labels`.
    """

    tokenizer: Callable[[Sequence[str], int], PreTrainedTokenizerFast]
    model: Callable[[ScratchSettings, PreTrainedTokenizerFast], PreTrainedModel]
    batch: Callable[[Sequence[Rendering]], dict[str, Tensor]]


def t5(scratch: ScratchSettings, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    """T5 with the gated layers of T5 1.1 and, as in the original, tied embeddings."""
    return T5ForConditionalGeneration(
        T5Config(
            d_model=scratch.width,
            d_kv=scratch.width // scratch.heads,
            d_ff=2 * scratch.width,
            num_layers=scratch.layers,
            num_heads=scratch.heads,
            n_positions=scratch.context,
            feed_forward_proj="gated-gelu",
            dropout_rate=0.0,
            vocab_size=len(tokenizer),
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            decoder_start_token_id=tokenizer.pad_token_id,
        )
    )


def gpt2(scratch: ScratchSettings, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    return GPT2LMHeadModel(
        GPT2Config(
            n_embd=scratch.width,
            n_layer=scratch.layers,
            n_head=scratch.heads,
            n_positions=scratch.context,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            vocab_size=len(tokenizer),
            bos_token_id=tokenizer.eos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )


def encoder_decoder_batch(renderings: Sequence[Rendering]) -> dict[str, Tensor]:
    """Prompts for the encoder, answers as the decoder's labels."""
    answers = [rendering.answer_ids for rendering in renderings]
    return {
        **_inputs([rendering.prompt_ids for rendering in renderings]),
        "labels": _padded(answers, _IGNORED),
    }


def decoder_batch(renderings: Sequence[Rendering]) -> dict[str, Tensor]:
    """Whole conversations; the loss ignores the prompt."""
    labels = [(*[_IGNORED] * len(r.prompt_ids), *r.answer_ids) for r in renderings]
    return {
        **_inputs([rendering.ids for rendering in renderings]),
        "labels": _padded(labels, _IGNORED),
    }


def _inputs(sequences: Sequence[Sequence[int]]) -> dict[str, Tensor]:
    # the mask hides padding, so any token will do
    return {
        "input_ids": _padded(sequences, 0),
        "attention_mask": _padded([[1] * len(sequence) for sequence in sequences], 0),
    }


def _padded(sequences: Sequence[Sequence[int]], padding: int) -> Tensor:
    rows = [torch.tensor(sequence) for sequence in sequences]
    padded: Tensor = pad_sequence(rows, batch_first=True, padding_value=padding)
    return padded


KINDS = {
    "scratch:t5": Kind(sentencepiece_tokenizer, t5, encoder_decoder_batch),
    "scratch:gpt2": Kind(byte_tokenizer, gpt2, decoder_batch),
}
