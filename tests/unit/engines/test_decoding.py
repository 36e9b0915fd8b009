"""Which tokens end a completion."""

from __future__ import annotations

from transformers import GenerationConfig

from tests.chat_templates import chat_tokenizer
from workflow_scripts.engines.decoding import Decoder


def test_turn_end_end_token_and_those_of_the_model_all_end_a_completion() -> None:
    tokenizer = chat_tokenizer("cohere2")
    decoder = Decoder(tokenizer, GenerationConfig(eos_token_id=[7]))
    ends = ["<|STOP|>", "<|TURN_END|>", "<eos>"]
    assert decoder.ends == [*tokenizer.convert_tokens_to_ids(ends), 7]


def test_a_completion_ends_where_its_turn_does() -> None:
    tokenizer = chat_tokenizer("gemma2")
    decoder = Decoder(tokenizer, GenerationConfig())
    ids = tokenizer("mice<end_of_turn>\ncats", add_special_tokens=False)["input_ids"]
    assert decoder.completion(ids, ()) == ("mice", True)


def test_a_completion_without_end_or_stop_text_was_cut() -> None:
    tokenizer = chat_tokenizer("gemma2")
    decoder = Decoder(tokenizer, GenerationConfig())
    ids = tokenizer("mice, cats", add_special_tokens=False)["input_ids"]
    assert decoder.completion(ids, ()) == ("mice, cats", False)
    assert decoder.completion(ids, (",",)) == ("mice", True)
