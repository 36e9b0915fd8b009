from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    Gemma3Config,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging

from tests.outputs import save
from tests.tiny_models import EXPERTS, LAYERS, SIZES, tiny_model
from workflow_scripts.modeling import loading
from workflow_scripts.modeling.loading import (
    load_classifier,
    load_tokenizer,
    load_weights,
    open_model,
)
from workflow_scripts.runtime.checksums import sha256_of
from workflow_scripts.runtime.errors import InputError

MANIFEST = {
    "source": "somewhere",
    "revision": None,
    "dtype": "bfloat16",
    "architecture": "causal",
    "quantization": None,
    "parameters": 1000,
    "layers": 2,
    "width": 8,
    "vocabulary": 16,
    "vocabulary_sha256": "0" * 64,
    "context_length": 64,
    "chat_template_sha256": None,
}


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """The manifest of a Llama of two layers, its weights kept in float32."""
    folder = tmp_path / "tiny"
    config = LlamaConfig(
        vocab_size=16,
        hidden_size=8,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel({"cat": 0, "<end>": 1}, unk_token="<end>"))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>").save_pretrained(folder)
    files = {path.name: sha256_of(path) for path in folder.iterdir()}
    save(MANIFEST | {"files": files}, (folder / "manifest.json"))
    return folder / "manifest.json"


def opened(manifest: Path) -> loading.LocalModel:
    """The model as if its present files had been fetched."""
    names = json.loads(manifest.read_text())["files"]
    files = {name: sha256_of(manifest.parent / name) for name in names}
    save(MANIFEST | {"files": files}, manifest)
    return open_model(manifest)


def test_a_model_has_its_folder_s_name(manifest: Path) -> None:
    assert open_model(manifest).name == "tiny"


def test_a_model_is_what_its_manifest_says(manifest: Path) -> None:
    model = open_model(manifest)
    assert (model.layers, model.width, model.vocabulary, model.context_length) == (2, 8, 16, 64)


def test_a_missing_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"manifest\.json: no such file"):
        open_model(tmp_path / "manifest.json")


def test_missing_weights_are_refused_by_name(manifest: Path) -> None:
    (manifest.parent / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"tiny: model\.safetensors is missing"):
        open_model(manifest)


def test_a_link_to_weights_that_moved_is_refused(manifest: Path, tmp_path: Path) -> None:
    weights = manifest.parent / "model.safetensors"
    weights.unlink()
    weights.symlink_to(tmp_path / "moved")
    with pytest.raises(InputError, match=r"model\.safetensors is missing"):
        open_model(manifest)


def test_a_manifest_of_something_else_is_refused(manifest: Path) -> None:
    files = {"config.json": sha256_of(manifest.parent / "config.json")}
    save({"source": "somewhere", "files": files}, manifest)
    with pytest.raises(InputError, match="not the manifest of a model"):
        open_model(manifest)


def test_a_manifest_of_before_vocabularies_were_recorded_is_refused(manifest: Path) -> None:
    content = json.loads(manifest.read_text())
    del content["vocabulary_sha256"]
    save(content, manifest)
    with pytest.raises(InputError, match=r"vocabulary_sha256.*delete its folder and rerun"):
        open_model(manifest)


def test_the_tokenizer_is_the_folder_s(manifest: Path) -> None:
    assert load_tokenizer(opened(manifest))("cat")["input_ids"] == [0]


def test_weights_are_loaded_for_evaluation_in_the_manifest_s_dtype(manifest: Path) -> None:
    weights = load_weights(opened(manifest), device="cpu")
    assert not weights.training
    assert {parameter.dtype for parameter in weights.parameters()} == {torch.bfloat16}


def test_weights_that_the_folder_lacks_are_refused_by_name(manifest: Path) -> None:
    file = manifest.parent / "model.safetensors"
    tensors = load_file(file)
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"1 weights are missing, the first is .*1\.mlp\.up_proj"):
        load_weights(opened(manifest), device="cpu")


def test_a_classifier_has_the_weights_of_the_model_and_a_head_for_the_labels(
    manifest: Path,
) -> None:
    model = opened(manifest)
    classifier, weights = load_classifier(model, 3, "cpu"), load_weights(model, "cpu")
    assert classifier.score.weight.shape == (3, 8)
    assert torch.equal(classifier.model.norm.weight, weights.model.norm.weight)
    own = classifier.model.layers[1].mlp.up_proj.weight
    assert torch.equal(own, weights.model.layers[1].mlp.up_proj.weight)


def test_a_classifier_has_no_other_new_weights_than_its_head(manifest: Path) -> None:
    file = manifest.parent / "model.safetensors"
    tensors = load_file(file)
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"1 weights are missing, the first is .*1\.mlp\.up_proj"):
        load_classifier(opened(manifest), 3, device="cpu")


def test_padding_changes_no_class_of_a_model_with_a_vision_tower(manifest: Path) -> None:
    """Its text part says what padding is; the composite's own setting is read by nobody."""
    text = SIZES | {"layer_types": ["full_attention"] * 3, "pad_token_id": 7}
    vision = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    vision |= {"num_attention_heads": 4, "image_size": 28, "patch_size": 14}
    config = Gemma3Config(text_config=text, vision_config=vision)
    AutoModelForCausalLM.from_config(config).save_pretrained(manifest.parent)
    classifier = load_classifier(opened(manifest), 3, device="cpu")
    padding = classifier.config.pad_token_id
    alone, padded = torch.tensor([[5, 6, 8]]), torch.tensor([[5, 6, 8, padding, padding]])
    with torch.no_grad():
        expected = classifier(input_ids=alone).logits
        found = classifier(input_ids=padded, attention_mask=padded.ne(padding)).logits
    torch.testing.assert_close(found, expected)


def test_attention_is_sdpa_where_the_model_has_it(manifest: Path) -> None:
    model = opened(manifest)
    for weights in (load_weights(model, "cpu"), load_classifier(model, 3, "cpu")):
        assert weights.config._attn_implementation == "sdpa"


def test_attention_is_the_model_s_own_where_it_has_no_sdpa(manifest: Path) -> None:
    """gpt-oss adds sinks to the softmax, which torch's kernel cannot."""
    tiny_model("gpt_oss").save_pretrained(manifest.parent)
    model = opened(manifest)
    for weights in (load_weights(model, "cpu"), load_classifier(model, 3, "cpu")):
        assert weights.config._attn_implementation == "eager"


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation"])
def test_a_config_does_not_choose_the_attention(manifest: Path, key: str) -> None:
    file = manifest.parent / "config.json"
    save(json.loads(file.read_text()) | {key: "flash_attention_2"}, file)
    weights = load_weights(opened(manifest), device="cpu")
    assert weights.config._attn_implementation == "sdpa"


@pytest.mark.parametrize(
    "family", ["llama", "gemma3_text", "gpt_oss", "qwen3_5_text", "falcon_h1", "deepseek_v3"]
)
def test_a_cpu_computes_in_every_dtype(manifest: Path, family: str) -> None:
    """Attention, experts, convolutions and recurrences alike."""
    tiny_model(family).save_pretrained(manifest.parent)
    ids = torch.arange(5, 25)[None]
    logits = {}
    for dtype in ("float32", "bfloat16", "float16"):
        outputs = load_weights(replace(opened(manifest), dtype=dtype), "cpu")(ids).logits
        outputs.float().logsumexp(-1).sum().backward()
        logits[dtype] = outputs.detach().float()
    for dtype in ("bfloat16", "float16"):
        distance = (logits[dtype] - logits["float32"]).norm() / logits["float32"].norm()
        assert distance < 0.2


@pytest.mark.parametrize("load", [load_weights, lambda m, d: load_classifier(m, 3, d)])
def test_a_model_that_exceeds_float16_is_refused(manifest: Path, load: Any) -> None:
    """Its losses would not be numbers, and its answers arbitrary."""
    weights = LlamaForCausalLM.from_pretrained(manifest.parent)
    with torch.no_grad():
        weights.model.layers[0].mlp.up_proj.weight.mul_(1e6)
        weights.model.layers[0].mlp.down_proj.weight.mul_(1e6)
    weights.save_pretrained(manifest.parent)
    model = opened(manifest)
    load(replace(model, dtype="float32"), "cpu")
    with pytest.raises(InputError) as refused:
        load(replace(model, dtype="float16"), "cpu")
    assert str(refused.value) == (
        "models.tiny.dtype: the model's values exceed the range of float16; write bfloat16 or "
        "float32"
    )


# --- quantized checkpoints ----------------------------------------------------------------


def test_weights_in_fp8_are_plain_ones_in_the_dtype_asked(manifest: Path) -> None:
    """Each block of them is stored over its scale."""
    exact = tiny_model("llama")
    exact.save_pretrained(manifest.parent)
    file = manifest.parent / "model.safetensors"
    stored = load_file(file)
    for name in [name for name in stored if "_proj." in name]:
        rows, columns = (-(-length // 16) for length in stored[name].shape)
        stored[f"{name}_scale_inv"] = torch.full((rows, columns), 2.0)
        stored[name] = (stored[name] / 2).to(torch.float8_e4m3fn)
    save_file(stored, file, metadata={"format": "pt"})
    quantize(manifest, quant_method="fp8", weight_block_size=[16, 16])
    weights = load_weights(opened(manifest), "cpu").state_dict()
    assert {weight.dtype for weight in weights.values()} == {torch.bfloat16}
    for name, weight in exact.named_parameters():
        if "_proj." in name:
            rounded = 2 * (weight / 2).to(torch.float8_e4m3fn).float()
            torch.testing.assert_close(weights[name].float(), rounded)


# the values of four bits: a sign, two bits of exponent, one of mantissa
FP4 = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_experts_in_mxfp4_are_plain_ones_in_the_dtype_asked(manifest: Path, dtype: str) -> None:
    """gpt-oss is published so: two values in a byte, 32 of them to a power of two."""
    settings = (
        SIZES | EXPERTS | {"intermediate_size": 64, "rope_parameters": {"rope_type": "default"}}
    )
    AutoModelForCausalLM.from_config(
        AutoConfig.for_model("gpt_oss", layer_types=["full_attention"] * LAYERS, **settings)
    ).save_pretrained(manifest.parent)
    file = manifest.parent / "model.safetensors"
    stored = load_file(file)
    expected = {}
    generator = torch.Generator().manual_seed(0)
    for name in [
        name for name in stored if name.endswith(("experts.gate_up_proj", "experts.down_proj"))
    ]:
        experts, inputs, outputs = stored.pop(name).shape
        pairs = torch.randint(0, 256, (experts, outputs, inputs // 32, 16), generator=generator)
        stored[f"{name}_blocks"] = pairs.to(torch.uint8)
        stored[f"{name}_scales"] = torch.full(pairs.shape[:3], 125, dtype=torch.uint8)
        values = torch.stack([FP4[pairs % 16], FP4[pairs // 16]], -1) * 2.0 ** (125 - 127)
        expected[name] = values.reshape(experts, outputs, inputs).transpose(1, 2)
    save_file(stored, file, metadata={"format": "pt"})
    quantize(manifest, quant_method="mxfp4")
    model = load_weights(replace(opened(manifest), dtype=dtype), "cpu")
    assert {weight.dtype for weight in model.parameters()} == {getattr(torch, dtype)}
    weights = model.state_dict()
    assert len(expected) == 2 * LAYERS
    for name, values in expected.items():
        assert torch.equal(weights[name].float(), values)


def test_quantized_weights_become_plain_ones_on_a_gpu_too(manifest: Path) -> None:
    """Where its kernels are at hand, transformers would keep them, and they are not trained."""
    quantize(manifest, quant_method="mxfp4")
    assert loading.read_config(manifest.parent).quantization_config["dequantize"]


def quantize(manifest: Path, **settings: object) -> None:
    """Writes the format of a checkpoint's weights into its config.json."""
    file = manifest.parent / "config.json"
    content = json.loads(file.read_text()) | {"quantization_config": settings}
    save(content, file)


def test_a_type_without_a_classification_head_is_refused_by_name(manifest: Path) -> None:
    tiny_model("lfm2").save_pretrained(manifest.parent)
    with pytest.raises(InputError, match=r"models\.tiny: .* no classification head for lfm2"):
        load_classifier(opened(manifest), 3, device="cpu")


def test_four_bits_without_a_gpu_are_refused(
    manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    model = replace(opened(manifest), quantization="nf4")
    with pytest.raises(InputError, match=r"models\.tiny\.quantization: nf4 needs a CUDA GPU"):
        load_weights(model)


def test_four_bits_without_their_library_are_refused_with_the_command(
    manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(loading, "find_spec", lambda name: None)
    model = replace(opened(manifest), quantization="nf4")
    with pytest.raises(InputError, match="run `make setup-quantization`"):
        load_weights(model)


def test_loading_leaves_the_library_as_talkative_as_it_was(
    manifest: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = (logging.get_verbosity(), logging.is_progress_bar_enabled())
    load_weights(opened(manifest), device="cpu")
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before
    assert capfd.readouterr().err == ""
