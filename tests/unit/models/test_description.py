"""What a manifest says, and which models are refused when they are fetched."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerBase

from tests.tiny_models import (
    CONTEXT,
    ENCODER_DECODERS,
    LAYERS,
    VOCABULARY,
    WIDTH,
    save_tiny_model,
    tiny_model,
)
from workflow_scripts.config.models import ModelSource
from workflow_scripts.modeling.encoder_decoder_forcing import encoded_batches
from workflow_scripts.modeling.loading import load_weights, open_model
from workflow_scripts.models.description import describe
from workflow_scripts.models.sources import fetch
from workflow_scripts.prompts.rendering import Rendering
from workflow_scripts.runtime.errors import InputError


@pytest.fixture
def t5(t5_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny T5 that a test may change."""
    return shutil.copytree(t5_folder, tmp_path / "copy")


@pytest.fixture
def source(
    family: str, encoder_decoder_tokenizers: dict[str, PreTrainedTokenizerBase], tmp_path: Path
) -> Path:
    """A tiny encoder-decoder with its tokenizer."""
    folder = tmp_path / family
    save_tiny_model(family, encoder_decoder_tokenizers[family], folder).unlink()
    return folder


def source_of(folder: Path, **settings: Any) -> ModelSource:
    return ModelSource(
        **{"source": str(folder), "architecture": "encoder-decoder", "dtype": "float32"} | settings
    )


def change(file: Path, **values: object) -> None:
    content = json.loads(file.read_text()) | values
    kept = {key: value for key, value in content.items() if value is not None}
    file.write_text(json.dumps(kept))


@pytest.mark.parametrize("family", ENCODER_DECODERS)
def test_an_encoder_decoder_is_fetched_and_opened_as_what_it_is(
    family: str, source: Path, tmp_path: Path
) -> None:
    fetch(source_of(source), tmp_path / "tiny")
    model = open_model(tmp_path / "tiny" / "manifest.json")
    assert model.architecture == "encoder-decoder"
    assert (model.layers, model.width, model.vocabulary) == (LAYERS, WIDTH, VOCABULARY)
    assert model.parameters == tiny_model(family).num_parameters()
    # the decoder of BART and LED may read two tokens before an answer
    assert model.context_length == (CONTEXT - 1 if family in ("bart", "led") else CONTEXT)
    assert load_weights(model, "cpu").config.is_encoder_decoder


def test_layers_are_those_of_the_decoder(t5: Path) -> None:
    change(t5 / "config.json", num_decoder_layers=2)
    assert describe(source_of(t5), t5)["layers"] == 2


@pytest.mark.parametrize("family", ["t5", "mt5", "umt5"])
def test_a_head_of_its_own_counts(source: Path) -> None:
    """FLAN-T5's config says so, and its files hold both."""
    change(source / "config.json", tie_word_embeddings=False, scale_decoder_outputs=None)
    tensors = load_file(source / "model.safetensors")
    tensors["lm_head.weight"] = torch.randn(VOCABULARY, WIDTH)
    save_file(tensors, source / "model.safetensors", metadata={"format": "pt"})
    stored = sum(tensor.numel() for tensor in tensors.values())
    assert describe(source_of(source), source)["parameters"] == stored


def test_a_head_that_is_stored_but_tied_counts_once(t5: Path) -> None:
    before = describe(source_of(t5), t5)["parameters"]
    tensors = load_file(t5 / "model.safetensors")
    tensors["lm_head.weight"] = tensors["shared.weight"].clone()
    save_file(tensors, t5 / "model.safetensors", metadata={"format": "pt"})
    assert describe(source_of(t5), t5)["parameters"] == before


@pytest.mark.parametrize("family", ["bart"])
def test_the_longest_answer_that_the_context_allows_can_be_read(family: str, source: Path) -> None:
    length = describe(source_of(source), source)["context_length"]
    model = tiny_model(family)
    answer = Rendering((0, 5, 2, *[7] * length), question=1, query=1, prompt=2, encoded=True)
    longer = replace(answer, ids=(*answer.ids, 7))

    def read(rendering: Rendering) -> None:
        (batch,) = encoded_batches(model, [rendering], [rendering.positions("answer")], 1, "")
        model(**batch.inputs)

    read(answer)
    with pytest.raises(IndexError):
        read(longer)


@pytest.mark.parametrize(
    ("n_positions", "model_max_length", "length"),
    [(384, 777, 384), (None, 777, 777), (None, None, 512)],
)
def test_the_context_is_the_one_it_was_made_for(
    t5: Path, n_positions: int | None, model_max_length: int | None, length: int
) -> None:
    change(t5 / "config.json", n_positions=n_positions)
    change(t5 / "tokenizer_config.json", model_max_length=model_max_length)
    assert describe(source_of(t5), t5)["context_length"] == length


def test_an_encoder_decoder_that_is_taken_for_a_decoder_is_refused(t5: Path) -> None:
    with pytest.raises(InputError, match="set `architecture: encoder-decoder`"):
        describe(source_of(t5, architecture="causal"), t5)


def test_a_decoder_that_is_taken_for_an_encoder_decoder_is_refused(model_folder: Path) -> None:
    with pytest.raises(InputError, match="set `architecture: causal`"):
        describe(source_of(model_folder), model_folder)


@pytest.mark.parametrize("file", ["config.json", "generation_config.json"])
def test_how_answers_start_may_be_in_either_config(t5: Path, file: str) -> None:
    change(t5 / file, decoder_start_token_id=None)
    if file == "generation_config.json":
        (t5 / file).unlink()
    assert describe(source_of(t5), t5)["context_length"] == CONTEXT


def test_a_t5_that_does_not_say_how_answers_start_is_refused(t5: Path) -> None:
    for file in ("config.json", "generation_config.json"):
        change(t5 / file, decoder_start_token_id=None)
    with pytest.raises(InputError, match=r"nor config\.json has decoder_start_token_id"):
        describe(source_of(t5), t5)


def test_an_encoder_decoder_that_must_not_say_some_tokens_is_refused(t5: Path) -> None:
    """Marian's padding token has a logit of 0, above most others."""
    change(t5 / "generation_config.json", bad_words_ids=[[0]])
    with pytest.raises(InputError, match=r"forbids tokens \(bad_words_ids\)"):
        describe(source_of(t5), t5)


DECODER = {
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
}
TEXT = DECODER | {"model_type": "mistral", "max_position_embeddings": 64}


def changed(model_folder: Path, tmp_path: Path, config: dict[str, object]) -> Path:
    """The tiny Llama with another model's config.json; its weights are not read."""
    folder = shutil.copytree(model_folder, tmp_path / "other")
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (
            DECODER | {"model_type": "mamba"},
            "this mamba model has no max_position_embeddings and tokenizer_config.json no "
            "model_max_length, so nothing says how many tokens it was trained to read",
        ),
        (DECODER | {"model_type": "rwkv"}, "padding changes what rwkv models compute"),
        (
            {"model_type": "mistral3", "text_config": TEXT},
            "transformers has no causal language model for mistral3 models",
        ),
        (TEXT | {"num_attention_heads": 0}, "transformers does not know the model of config"),
        (TEXT | {"hidden_size": "wide"}, "transformers does not know the model of config"),
        (TEXT | {"vocab_size": -1}, "can build .* negative dimension -1"),
    ],
)
def test_what_the_jobs_could_not_load_is_refused_at_the_fetch_in_one_line(
    config: dict[str, object], reason: str, model_folder: Path, tmp_path: Path
) -> None:
    folder = changed(model_folder, tmp_path, config)
    with pytest.raises(InputError, match=reason) as refusal:
        describe(source_of(folder, architecture="causal"), folder)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("model_type", "reason"),
    [
        ("mbart", "mbart models need a token for the language of prompt and answer"),
        ("bigbird_pegasus", "padding changes what bigbird_pegasus models compute"),
        ("switch_transformers", "experts of switch_transformers models take a limited number"),
        ("prophetnet", "prophetnet models predict several tokens at once"),
    ],
)
def test_an_encoder_decoder_that_cannot_teach_is_refused_by_its_type(
    model_type: str, reason: str, model_folder: Path, tmp_path: Path
) -> None:
    folder = changed(model_folder, tmp_path, {"model_type": model_type})
    with pytest.raises(InputError, match=reason) as refusal:
        describe(source_of(folder), folder)
    assert "\n" not in str(refusal.value)


def test_a_tokenizer_that_its_class_cannot_read_is_refused_in_one_line(t5: Path) -> None:
    """The class of T5's tokenizers takes a unigram model, not pairs of bytes."""
    change(t5 / "tokenizer_config.json", tokenizer_class="T5Tokenizer")
    with pytest.raises(InputError, match="has no readable tokenizer; add its files"):
        describe(source_of(t5), t5)


def test_a_recurrent_model_reads_as_many_tokens_as_its_tokenizer_says(
    model_folder: Path, tmp_path: Path
) -> None:
    folder = changed(model_folder, tmp_path, DECODER | {"model_type": "mamba"})
    change(folder / "tokenizer_config.json", model_max_length=2048)
    manifest = describe(source_of(folder, architecture="causal"), folder)
    assert manifest["context_length"] == 2048
    assert "out_proj" in manifest["refused_features"]["LoRA all-linear"]


QUANTIZED = {
    "gptq": {"bits": 4, "group_size": 16},
    "awq": {"bits": 4, "group_size": 16},
    "compressed-tensors": {},
    "modelopt": {},
}


@pytest.mark.parametrize("method", QUANTIZED)
def test_quantized_weights_that_cannot_be_loaded_are_refused_with_the_reason(
    method: str, model_folder: Path, tmp_path: Path
) -> None:
    settings = {"quant_method": method} | QUANTIZED[method]
    folder = changed(model_folder, tmp_path, TEXT | {"quantization_config": settings})
    with pytest.raises(InputError) as refused:
        describe(source_of(folder, architecture="causal"), folder)
    assert str(refused.value).startswith(
        f"{folder}: its weights are quantized ({method}) and cannot be loaded here ("
    )
    assert str(refused.value).endswith("); use the model that was quantized")
    assert "\n" not in str(refused.value)


def test_quantized_weights_that_can_be_loaded_teach_and_are_not_trained(
    model_folder: Path, tmp_path: Path
) -> None:
    settings = {"quantization_config": {"quant_method": "bitnet"}}
    folder = changed(model_folder, tmp_path, TEXT | settings)
    refused = describe(source_of(folder, architecture="causal"), folder)["refused_features"]
    assert refused["training"] == "its weights are quantized (bitnet), which cannot be trained"


@pytest.mark.parametrize("method", ["fp8", "mxfp4"])
def test_quantized_weights_that_become_plain_ones_are_trained(
    method: str, model_folder: Path, tmp_path: Path
) -> None:
    folder = changed(
        model_folder, tmp_path, TEXT | {"quantization_config": {"quant_method": method}}
    )
    refused = describe(source_of(folder, architecture="causal"), folder)["refused_features"]
    assert "training" not in refused
    with pytest.raises(InputError, match=rf"quantized already \({method}\); remove `quantization"):
        describe(source_of(folder, architecture="causal", quantization="nf4"), folder)


def test_a_model_without_sdpa_is_described(model_folder: Path, tmp_path: Path) -> None:
    folder = changed(model_folder, tmp_path, TEXT | {"model_type": "gptj", "rotary_dim": 4})
    manifest = describe(source_of(folder, architecture="causal"), folder)
    assert manifest["layers"] == 1


def test_quantization_is_written_down(t5_folder: Path) -> None:
    assert describe(source_of(t5_folder), t5_folder)["quantization"] is None
    assert describe(source_of(t5_folder, quantization="nf4"), t5_folder)["quantization"] == "nf4"


def test_the_sentencepiece_file_is_a_model_file(t5: Path, tmp_path: Path) -> None:
    (t5 / "spiece.model").write_bytes(b"pieces")
    fetch(source_of(t5), tmp_path / "tiny")
    assert (tmp_path / "tiny" / "spiece.model").read_bytes() == b"pieces"
