"""Where the parts of a decoder lie: found by their names, verified by what they compute.

A decoder layer adds what its attention and its feed-forward network return to the residual stream.
Families differ in how: some normalise after each part (Gemma 2, OLMo 2), some scale it (Granite),
hybrids have a convolution or a recurrence for attention in some of their layers, and mixtures of
experts have a shared expert beside the others. `_CANDIDATES` lists these ways. For each layer, the
first one whose parts add up to the layer's change of the stream in a real forward pass is used, so
a family needs no entry here, and one that fits none is refused instead of read wrongly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from workflow_scripts.config.base import Site
from workflow_scripts.modeling.teacher_forcing import unwrapped
from workflow_scripts.runtime.errors import InputError

# names of the submodules of a layer that mix tokens, and of those that do not
_ATTENTION = ("self_attn", "attn", "attention", "linear_attn", "conv", "mamba")
_FFN = ("mlp", "feed_forward", "fc2", "block_sparse_moe", "shared_mlp")
# norms whose output is what is added, in families that normalise after each part
_ATTENTION_NORMS = ("post_attention_layernorm", "post_self_attn_layernorm")
_FFN_NORMS = ("post_feedforward_layernorm", "post_mlp_layernorm", "post_per_layer_input_norm")
# what a token passes before the first layer, beside embeddings
_INPUT_PROJECTIONS = ("project_in", "per_layer_model_projection")
# tokens of the pass that verifies a model
_TOKENS = 6


@dataclass(frozen=True)
class Part:
    """A module whose output, times a factor, is added to the residual stream."""

    module: nn.Module
    factor: float = 1.0


@dataclass(frozen=True)
class LayerParts:
    """What a layer adds to the residual stream: the sums over these parts."""

    attention: tuple[Part, ...]
    ffn: tuple[Part, ...]


def decoder_layers(model: Any) -> list[nn.Module]:
    """The decoder layers in order, also of a model wrapped by PEFT or accelerate.

    Raises InputError when the decoder has no list of as many layers as its config says.
    """
    model = unwrapped(model)
    depth = model.config.get_text_config(decoder=True).num_hidden_layers
    for module in model.get_decoder().children():
        if isinstance(module, nn.ModuleList) and len(module) == depth:
            return list(module)
    raise InputError(f"{_named(model)}: no list of {depth} decoder layers; use another model")


def embeddings(model: Any) -> list[nn.Module]:
    """What a token passes before the first layer."""
    return [
        module
        for name, module in unwrapped(model).get_decoder().named_children()
        if isinstance(module, nn.Embedding) or name in _INPUT_PROJECTIONS
    ]


def attention_modules(layer: nn.Module) -> dict[str, nn.Module]:
    """The submodules of a decoder layer that mix tokens, by name."""
    return _children(layer, _ATTENTION)


def site_parts(model: Any, site: Site) -> list[tuple[Part, ...]]:
    """For each decoder layer, the parts whose outputs sum to the state of a site.

    The first call for a model runs it over a few tokens to verify them.
    Raises InputError when the site is not defined for the model: no parts add up to what a layer
    adds to the residual stream, or the stream is not one vector per token.
    """
    model = unwrapped(model)
    if model not in _VERIFIED:
        _VERIFIED[model] = [_parts_of(layer) for layer in _one_pass(model)]
    layers = decoder_layers(model)
    if site == "block":
        return [(Part(layer),) for layer in layers]
    for index, (layer, parts) in enumerate(zip(layers, _VERIFIED[model], strict=True)):
        if parts is None:
            names = ", ".join(name for name, _ in layer.named_children())
            raise InputError(
                f"{_named(model)}: no submodules of layer {index} ({names}) add up to what it adds "
                "to the residual stream, so sites attention and ffn are not defined; use site block"
            )
    return [getattr(parts, site) for parts in _VERIFIED[model]]


# --- verification ---------------------------------------------------------------------------

# model → what each of its layers adds; None where that is not known
_VERIFIED: WeakKeyDictionary[nn.Module, list[LayerParts | None]] = WeakKeyDictionary()


@dataclass
class _LayerPass:
    """One layer in a forward pass: the residual stream around it, its submodules' outputs.

    All are float32 and (batch, length, width); `eps` is that of the model's dtype.
    """

    layer: nn.Module
    before: Tensor
    after: Tensor
    outputs: dict[nn.Module, Tensor]
    eps: float
    config: Any

    def adds(self, parts: LayerParts) -> bool:
        """Whether the layer returns its input plus these parts, up to rounding."""
        if any(part.module not in self.outputs for part in (*parts.attention, *parts.ffn)):
            return False
        attention, ffn = (
            torch.stack([part.factor * self.outputs[part.module] for part in own]).sum(0)
            for own in (parts.attention, parts.ffn)
        )
        if getattr(self.layer, "do_layer_norm_before", True):
            expected = self.before + attention + ffn
        else:  # OPT-350M normalises the stream itself
            first, second = (
                deepcopy(self.layer.get_submodule(name)).float()
                for name in ("self_attn_layer_norm", "final_layer_norm")
            )
            expected = second(first(self.before + attention) + ffn)
        rounding = 8 * self.eps * (self.before.norm() + self.after.norm())
        return bool((expected - self.after).norm() <= rounding)


def _parts_of(layer_pass: _LayerPass) -> LayerParts | None:
    """The first candidate that the layer adds to the stream."""
    layer = layer_pass.layer
    return next(filter(layer_pass.adds, _candidates(layer, layer_pass.config)), None)


def _candidates(layer: nn.Module, config: Any) -> Iterator[LayerParts]:
    """Ways in which families add attention and feed-forward network, the plainest first."""
    attention, ffn = _children(layer, _ATTENTION), _children(layer, _FFN)
    scales = {
        "self_attn": getattr(config, "attention_out_multiplier", 1.0),
        "mamba": getattr(config, "ssm_out_multiplier", 1.0),
    }
    if attention and ffn:
        for factor in (1.0, getattr(config, "residual_multiplier", 1.0)):
            yield LayerParts(
                tuple(Part(module, factor) for module in attention.values()),
                tuple(Part(module, factor) for module in ffn.values()),
            )
        yield LayerParts(
            tuple(Part(module, scales.get(name, 1.0)) for name, module in attention.items()),
            tuple(Part(module) for module in ffn.values()),
        )
    ffn_norms = tuple(Part(module) for module in _children(layer, _FFN_NORMS).values())
    for norm in _children(layer, _ATTENTION_NORMS).values() if ffn_norms else ():
        yield LayerParts((Part(norm),), ffn_norms)


def _one_pass(model: Any) -> list[_LayerPass]:
    """What each decoder layer reads and returns in a forward pass over a few tokens.

    Raises InputError when layers do not pass on one vector per token.
    """
    layers = decoder_layers(model)
    before: dict[int, Any] = {}
    after: dict[int, Any] = {}
    outputs: dict[nn.Module, Any] = {}
    hooks = []
    for index, layer in enumerate(layers):
        hooks.append(layer.register_forward_pre_hook(_keep_input(before, index), with_kwargs=True))
        hooks.append(layer.register_forward_hook(_keep_output(after, index)))
        for module in layer.children():
            hooks.append(module.register_forward_hook(_keep_output(outputs, module)))
    decoder = model.get_decoder()
    vocabulary = decoder.get_input_embeddings().num_embeddings
    ids = torch.arange(_TOKENS, device=model.device).remainder(vocabulary)[None]
    try:
        with torch.no_grad(), _evaluating(model):
            decoder(input_ids=ids, use_cache=False)
    finally:
        for hook in hooks:
            hook.remove()
    for index in range(len(layers)):
        one_vector = before[index].shape == after[index].shape and before[index].dim() == 3
        passed_on = index == 0 or torch.equal(before[index], after[index - 1])
        if not (one_vector and passed_on):
            raise InputError(
                f"{_named(model)}: layer {index} does not pass on one vector per token, so its "
                "hidden states are not defined; use terms on logits"
            )
    eps = torch.finfo(model.dtype).eps
    return [
        _LayerPass(
            layer,
            before[index].float(),
            after[index].float(),
            {
                module: outputs[module].float().reshape(before[index].shape)
                for module in layer.children()
                if _fits(outputs.get(module), before[index])
            },
            eps,
            model.config.get_text_config(decoder=True),
        )
        for index, layer in enumerate(layers)
    ]


def _fits(output: Any, stream: Tensor) -> bool:
    return isinstance(output, Tensor) and output.numel() == stream.numel()


def _keep_input(kept: dict[int, Any], index: int) -> Callable[..., None]:
    def keep(module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        kept[index] = arguments[0] if arguments else named["hidden_states"]

    return keep


def _keep_output(kept: dict[Any, Any], key: Any) -> Callable[..., None]:
    def keep(module: nn.Module, arguments: Any, output: Any) -> None:
        kept[key] = states_in(output)

    return keep


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Without dropout inside the block; each module is in its mode again behind it."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def states_in(output: Any) -> Any:
    """What a module returns to the stream; some return more beside it, such as weights."""
    return output[0] if isinstance(output, tuple) else output


def _children(layer: nn.Module, names: Sequence[str]) -> dict[str, nn.Module]:
    return {name: module for name, module in layer.named_children() if name in names}


def _named(model: Any) -> str:
    return f"{Path(model.name_or_path).name or model.config.model_type} ({model.config.model_type})"
