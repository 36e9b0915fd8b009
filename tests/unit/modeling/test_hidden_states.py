from __future__ import annotations

from itertools import product

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor
from torch.nn.functional import mse_loss
from transformers import PreTrainedModel

from tests.tiny_models import (
    FAMILIES,
    HYBRIDS,
    LAYERS,
    MIXTURES,
    PLAIN,
    VOCABULARY,
    WIDTH,
    WINDOWED,
    tiny_model,
)
from workflow_scripts.modeling.hidden_states import Capture
from workflow_scripts.modeling.teacher_forcing import head_positions

SITES = ("block", "attention", "ffn")
ROWS = torch.tensor([0, 0, 1, 2])
COLUMNS = torch.tensor([0, 6, 3, 4])


@pytest.fixture
def input_ids() -> Tensor:
    return torch.randint(3, VOCABULARY, (3, 7), generator=torch.Generator().manual_seed(0))


def captured(model, input_ids: Tensor, site: str) -> Tensor:
    with torch.no_grad(), Capture(model, [site], ROWS, COLUMNS) as capture:
        model(input_ids)
    return capture.states(site)


def hooks_of(model: PreTrainedModel) -> int:
    return sum(
        len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()
    )


# --- states -------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_block_states_are_the_hidden_states_of_the_library(family, input_ids):
    model = tiny_model(family)
    with torch.no_grad():
        expected = model(input_ids, output_hidden_states=True).hidden_states
    states = captured(model, input_ids, "block")
    assert states.shape == (LAYERS, len(ROWS), WIDTH)
    for layer in range(LAYERS - 1):
        torch.testing.assert_close(states[layer], expected[layer + 1][ROWS, COLUMNS])


@pytest.mark.parametrize("family", ["llama", "qwen3", "opt-pre-norm", "gpt2", "gpt_neox"])
def test_the_last_block_state_is_before_the_final_norm(family, input_ids):
    model = tiny_model(family)
    decoder = model.get_decoder()
    names = {"llama": "norm", "qwen3": "norm", "gpt2": "ln_f"}
    norm = getattr(decoder, names.get(family, "final_layer_norm"))
    last = captured(model, input_ids, "block")[-1]
    with torch.no_grad():
        expected = decoder(input_ids).last_hidden_state[ROWS, COLUMNS]
        assert not torch.allclose(last, expected)
        torch.testing.assert_close(norm(last), expected)


@pytest.mark.parametrize("family", ["llama", "qwen3", "opt-pre-norm", "gpt2", "gpt_neox"])
def test_attention_and_ffn_are_what_a_layer_adds_to_the_stream(family, input_ids):
    model = tiny_model(family)
    block, attention, ffn = (captured(model, input_ids, site) for site in SITES)
    torch.testing.assert_close(block[1:], block[:-1] + attention[1:] + ffn[1:])


@pytest.mark.parametrize("site", SITES)
def test_states_keep_the_models_dtype(site, input_ids):
    states = captured(tiny_model("qwen3", torch.bfloat16), input_ids, site)
    assert states.dtype == torch.bfloat16


def test_several_sites_are_kept_in_one_pass(input_ids):
    model = tiny_model("llama")
    with torch.no_grad(), Capture(model, SITES, ROWS, COLUMNS) as capture:
        model(input_ids)
    for site in SITES:
        assert torch.equal(capture.states(site), captured(model, input_ids, site))


def test_no_hook_is_left_after_an_error():
    model = tiny_model("llama")
    with (
        pytest.raises(IndexError),
        head_positions(model, ROWS, COLUMNS),
        Capture(model, SITES, ROWS, COLUMNS),
    ):
        model(torch.tensor([[5]]))
    assert hooks_of(model) == 0


# --- gradients ----------------------------------------------------------------------------


def gradients(model: PreTrainedModel, input_ids: Tensor, site: str) -> list[Tensor]:
    """Gradients of the captured states' squared length; backward runs after the block."""
    model.zero_grad()
    with Capture(model, [site], ROWS, COLUMNS) as capture:
        model(input_ids, use_cache=False)
    states = capture.states(site)
    mse_loss(states, torch.zeros_like(states)).backward()
    return [p.grad.clone() for p in model.parameters() if p.grad is not None]


@pytest.mark.parametrize(
    ("family", "site"),
    [
        *product(FAMILIES, SITES),
        *((family, "attention") for family in (*PLAIN, *MIXTURES, *WINDOWED)),
        *((family, "block") for family in HYBRIDS),
    ],
)
def test_gradients_are_the_same_under_gradient_checkpointing(family, site, input_ids):
    model = tiny_model(family).train()
    plain = gradients(model, input_ids, site)
    model.gradient_checkpointing_enable({"use_reentrant": False})
    checkpointed = gradients(model, input_ids, site)
    assert len(plain) == len(checkpointed) > 0
    for one, other in zip(plain, checkpointed, strict=True):
        torch.testing.assert_close(one, other)


def test_states_are_kept_once_when_a_layer_is_computed_again(input_ids):
    model = tiny_model("llama").train()
    model.gradient_checkpointing_enable({"use_reentrant": False})
    with Capture(model, ["block"], ROWS, COLUMNS) as capture:
        model(input_ids, use_cache=False)
        before = capture.states("block")
        before.sum().backward()
        after = capture.states("block")
    assert torch.equal(before, after)
    assert after.shape[0] == LAYERS


# --- logits at positions ------------------------------------------------------------------


@pytest.mark.parametrize("family", [*FAMILIES, *PLAIN, *MIXTURES, *WINDOWED, *HYBRIDS])
def test_logits_at_positions_equal_the_full_logits_there(family, input_ids):
    model = tiny_model(family)
    with torch.no_grad():
        full = model(input_ids).logits
        with head_positions(model, ROWS, COLUMNS):
            kept = model(input_ids).logits
    torch.testing.assert_close(kept, full[ROWS, COLUMNS])


def test_full_logits_are_never_built(input_ids):
    model = tiny_model("llama")
    shapes = []
    model.lm_head.register_forward_hook(lambda m, a, output: shapes.append(output.shape))
    with torch.no_grad(), head_positions(model, ROWS, COLUMNS):
        model(input_ids)
    assert shapes == [(len(ROWS), VOCABULARY)]


def test_no_positions_give_no_logits(input_ids):
    none = torch.empty(0, dtype=torch.long)
    model = tiny_model("llama")
    with torch.no_grad(), head_positions(model, none, none):
        assert model(input_ids).logits.shape == (0, VOCABULARY)


def test_logits_are_gathered_inside_a_peft_model(input_ids):
    model = tiny_model("llama")
    wrapped = get_peft_model(model, LoraConfig(target_modules="all-linear", task_type="CAUSAL_LM"))
    with torch.no_grad(), head_positions(wrapped, ROWS, COLUMNS):
        assert wrapped(input_ids).logits.shape == (len(ROWS), VOCABULARY)
