"""Where the parts of decoders lie: every family is measured, none is assumed."""

from __future__ import annotations

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM

from tests.tiny_models import (
    FAMILIES,
    HYBRIDS,
    LAYERS,
    MIXTURES,
    PLAIN,
    SIZES,
    VOCABULARY,
    WIDTH,
    WINDOWED,
    tiny_composite,
    tiny_model,
)
from workflow_scripts.modeling import architectures
from workflow_scripts.modeling.architectures import (
    attention_modules,
    decoder_layers,
    embeddings,
    site_parts,
)
from workflow_scripts.modeling.hidden_states import Capture
from workflow_scripts.runtime.errors import InputError

TYPES = [*FAMILIES, *PLAIN, *MIXTURES, *WINDOWED, *HYBRIDS]
SITES = ("block", "attention", "ffn")
# its layers hold an attention, a recurrence or a feed-forward network, one of them each
ONE_PART_A_LAYER = "nemotron_h"
# normalises the stream itself, so that its layers add to something else than they read
POST_NORM = "opt"
ROWS, COLUMNS = torch.tensor([0, 1, 1]), torch.tensor([0, 3, 8])


@pytest.fixture
def input_ids():
    return torch.randint(3, VOCABULARY, (2, 9), generator=torch.Generator().manual_seed(0))


# --- layers -------------------------------------------------------------------------------


@pytest.mark.parametrize("family", TYPES)
def test_every_decoder_layer_is_found(family):
    assert len(decoder_layers(tiny_model(family))) == LAYERS


def test_the_layers_are_found_inside_a_peft_model():
    model = tiny_model("llama")
    wrapped = get_peft_model(model, LoraConfig(target_modules="all-linear", task_type="CAUSAL_LM"))
    assert decoder_layers(wrapped) == list(model.model.layers)


@pytest.mark.parametrize(("family", "number"), [("llama", 1), ("gpt2", 2), ("opt", 3)])
def test_what_a_token_passes_before_the_layers_is_found(family, number):
    assert len(embeddings(tiny_model(family))) == number


# --- sites --------------------------------------------------------------------------------


@pytest.mark.parametrize("family", sorted({*TYPES} - {ONE_PART_A_LAYER, POST_NORM}))
def test_attention_and_ffn_are_what_a_layer_adds_to_the_residual_stream(family, input_ids):
    model = tiny_model(family)
    with torch.no_grad(), Capture(model, SITES, ROWS, COLUMNS) as capture:
        hidden = model(input_ids, output_hidden_states=True, use_cache=False).hidden_states
    block, attention, ffn = (capture.states(site) for site in SITES)
    before = torch.stack([states[ROWS, COLUMNS] for states in hidden[:LAYERS]])
    torch.testing.assert_close(before + attention + ffn, block)
    # both parts have a share in it
    assert attention.abs().mean() > 1e-4
    assert ffn.abs().mean() > 1e-4


def parts_by_name(model, site: str) -> list[list[tuple[str, float]]]:
    names = [{own: name for name, own in layer.named_children()} for layer in decoder_layers(model)]
    return [
        [(own[module], factor) for module, factor in parts]
        for own, parts in zip(names, site_parts(model, site), strict=True)
    ]


@pytest.mark.parametrize("large", [False, True], ids=["as it is", "a large stream"])
@pytest.mark.parametrize("family", ["gemma2", "granite", "olmo2", "qwen3_5_text", "gpt_oss"])
def test_they_are_found_in_bfloat16(family, large):
    """In a large stream, what a late layer adds is less than the rounding of bfloat16."""
    exact, rounded = tiny_model(family), tiny_model(family, torch.bfloat16)
    expected = {site: parts_by_name(exact, site) for site in ("attention", "ffn")}
    if large:
        ((name, _),) = expected["ffn"][1]
        for weight_name, weight in (
            decoder_layers(rounded)[1].get_submodule(name).named_parameters()
        ):
            if "down_proj" in weight_name or weight_name == "weight":
                weight.data.mul_(300).add_(300 if weight_name == "weight" else 0)
    assert {site: parts_by_name(rounded, site) for site in expected} == expected


def test_an_adapter_in_the_place_of_a_part_is_part_of_it(input_ids):
    """OPT's feed-forward network ends in a linear layer, which PEFT replaces."""
    model = tiny_model("opt-pre-norm")
    site_parts(model, "ffn")
    lora = LoraConfig(r=2, target_modules=["fc2"], task_type="CAUSAL_LM", init_lora_weights=False)
    student = get_peft_model(model, lora).eval()
    with torch.no_grad(), Capture(student, SITES, ROWS, COLUMNS) as capture:
        hidden = student(input_ids, output_hidden_states=True, use_cache=False).hidden_states
    block, attention, ffn = (capture.states(site) for site in SITES)
    before = torch.stack([states[ROWS, COLUMNS] for states in hidden[:LAYERS]])
    torch.testing.assert_close(before + attention + ffn, block)


def test_layers_of_one_part_have_block_states_alone(input_ids):
    model = tiny_model(ONE_PART_A_LAYER)
    assert len(site_parts(model, "block")) == LAYERS
    for site in ("attention", "ffn"):
        with pytest.raises(InputError, match=r"layer 0 \(norm, mixer\).* use site block"):
            site_parts(model, site)


def test_a_layer_that_scales_its_stream_is_refused():
    model = tiny_model("gemma4_text")
    model.model.layers[1].layer_scalar.fill_(0.5)
    with pytest.raises(InputError, match="no submodules of layer 1 "):
        site_parts(model, "ffn")
    assert len(site_parts(model, "block")) == LAYERS


def test_a_stream_of_several_vectors_a_token_is_refused():
    settings = SIZES | {
        "layer_types": ["full_attention", "sliding_attention", "full_attention"],
        "num_kv_shared_layers": 0,
        "vocab_size_per_layer_input": VOCABULARY,
        "hidden_size_per_layer_input": 8,
        "laurel_rank": 4,
        "intermediate_size": [48] * LAYERS,
        "activation_sparsity_pattern": [0.0] * LAYERS,
    }
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model("gemma3n_text", **settings))
    with pytest.raises(InputError, match="layer 0 does not pass on one vector per token"):
        site_parts(model, "block")


def test_of_a_model_with_a_vision_tower_the_decoder_is_measured(input_ids):
    model = tiny_composite("gemma3")
    assert len(site_parts(model, "ffn")) == LAYERS
    with torch.no_grad(), Capture(model, ["ffn"], ROWS, COLUMNS) as capture:
        model(input_ids=input_ids, use_cache=False)
    assert capture.states("ffn").shape == (LAYERS, len(ROWS), WIDTH)


# --- verification -------------------------------------------------------------------------


def test_a_model_is_verified_once(monkeypatch):
    model = tiny_model("llama")
    passes = []
    model.get_decoder().register_forward_pre_hook(lambda *_: passes.append(1))
    for site in SITES:
        site_parts(model, site)
    assert passes == [1]


def test_the_pass_leaves_no_hook_and_no_mode_behind():
    model = tiny_model("qwen3").train()
    model.model.layers[1].eval()
    modes = [module.training for module in model.modules()]
    site_parts(model, "attention")
    assert [module.training for module in model.modules()] == modes
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_nothing_of_a_model_that_is_gone_is_kept():
    model = tiny_model("llama")
    site_parts(model, "ffn")
    kept = len(architectures._VERIFIED)
    del model
    assert len(architectures._VERIFIED) == kept - 1


def test_attention_is_whatever_mixes_tokens():
    found = {
        tuple(attention_modules(layer))
        for family in ("qwen3_5_text", "lfm2", "falcon_h1")
        for layer in decoder_layers(tiny_model(family))
    }
    assert found == {("linear_attn",), ("self_attn",), ("conv",), ("mamba", "self_attn")}
