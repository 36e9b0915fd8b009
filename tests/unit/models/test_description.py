"""What a manifest says, and which models are refused when they are fetched."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.tiny_models import LAYERS, VOCABULARY, WIDTH, tiny_model
from workflow_scripts.config.models import ModelSource
from workflow_scripts.modeling.loading import load_weights, open_model
from workflow_scripts.models.description import describe
from workflow_scripts.models.sources import fetch
from workflow_scripts.runtime.errors import InputError


@pytest.fixture
def t5(t5_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny T5 that a test may change."""
    return shutil.copytree(t5_folder, tmp_path / "copy")


def source_of(folder: Path, **settings: Any) -> ModelSource:
    return ModelSource(
        **{"source": str(folder), "architecture": "encoder-decoder", "dtype": "float32"} | settings
    )


def change(file: Path, **values: object) -> None:
    content = json.loads(file.read_text()) | values
    kept = {key: value for key, value in content.items() if value is not None}
    file.write_text(json.dumps(kept))


def test_a_t5_is_fetched_and_opened_as_what_it_is(t5_folder: Path, tmp_path: Path) -> None:
    fetch(source_of(t5_folder), tmp_path / "tiny")
    model = open_model(tmp_path / "tiny" / "manifest.json")
    assert model.architecture == "encoder-decoder"
    assert (model.layers, model.width, model.vocabulary) == (LAYERS, WIDTH, VOCABULARY)
    assert model.parameters == tiny_model("t5").num_parameters()
    assert load_weights(model, "cpu").config.is_encoder_decoder


def test_layers_are_those_of_the_decoder(t5: Path) -> None:
    change(t5 / "config.json", num_decoder_layers=2)
    assert describe(source_of(t5), t5)["layers"] == 2


def test_a_head_of_its_own_counts(t5: Path) -> None:
    """FLAN-T5's config says so, and its files hold both."""
    change(t5 / "config.json", tie_word_embeddings=False, scale_decoder_outputs=None)
    tensors = load_file(t5 / "model.safetensors")
    tensors["lm_head.weight"] = torch.randn(VOCABULARY, WIDTH)
    save_file(tensors, t5 / "model.safetensors", metadata={"format": "pt"})
    stored = sum(tensor.numel() for tensor in tensors.values())
    assert describe(source_of(t5), t5)["parameters"] == stored


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


def test_a_t5_that_does_not_say_how_answers_start_is_refused(t5: Path) -> None:
    change(t5 / "config.json", decoder_start_token_id=None)
    with pytest.raises(InputError, match="t5 model has no decoder_start_token_id"):
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
        (DECODER | {"model_type": "rwkv"}, "padding changes what a rwkv model computes"),
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


@pytest.mark.parametrize("model_type", ["bart", "t5gemma"])
def test_an_encoder_decoder_that_is_no_t5_is_refused_by_its_type(
    model_type: str, model_folder: Path, tmp_path: Path
) -> None:
    folder = changed(model_folder, tmp_path, {"model_type": model_type})
    with pytest.raises(InputError, match=f"{model_type} model has no num_decoder_layers"):
        describe(source_of(folder), folder)


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
