"""Where the parts of a decoder lie: found by their names, verified by what they compute.

A decoder layer adds what its attention and its feed-forward network return to the residual stream.
Families differ in how: some normalise after each part (Gemma 2, OLMo 2), some scale it (Granite),
hybrids have a convolution or a recurrence for attention in some of their layers, and mixtures of
experts have a shared expert beside the others. `_candidates` lists these ways. In a real forward
pass, the one whose parts add up best to the changes of the stream by all layers of one structure is
used, so a family needs no entry here. A layer that it does not add up to, within the rounding of
the dtype, is refused instead of read wrongly.
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
    """A submodule of a layer whose output, times a factor, is added to the residual stream."""

    name: str
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


def site_parts(model: Any, site: Site) -> list[list[tuple[nn.Module, float]]]:
    """For each decoder layer, the modules whose outputs, times a factor, sum to a site's state.

    The first call for a model runs it over a few tokens to verify them. They are looked up at each
    call, because an adapter may have taken the place of one.
    Raises InputError when the site is not defined for the model: no parts add up to what a layer
    adds to the residual stream, or the stream is not one vector per token.
    """
    model = unwrapped(model)
    if model not in _VERIFIED:
        _VERIFIED[model] = _verified(_one_pass(model))
    layers = decoder_layers(model)
    if site == "block":
        return [[(layer, 1.0)] for layer in layers]
    found = []
    for index, (layer, parts) in enumerate(zip(layers, _VERIFIED[model], strict=True)):
        if parts is None:
            names = ", ".join(name for name, _ in layer.named_children())
            raise InputError(
                f"{_named(model)}: no submodules of layer {index} ({names}) add up to what it adds "
                "to the residual stream, so sites attention and ffn are not defined; use site block"
            )
        own: tuple[Part, ...] = getattr(parts, site)
        found.append([(layer.get_submodule(part.name), part.factor) for part in own])
    return found


# --- verification ---------------------------------------------------------------------------

# model → what each of its layers adds; None where that is not known
_VERIFIED: WeakKeyDictionary[nn.Module, list[LayerParts | None]] = WeakKeyDictionary()


@dataclass
class _LayerPass:
    """One layer in a forward pass: the residual stream around it, its submodules' outputs by name.

    All are float32 and (batch, length, width); `eps` is that of the model's dtype.
    """

    layer: nn.Module
    before: Tensor
    after: Tensor
    outputs: dict[str, Tensor]
    eps: float
    config: Any

    @property
    def structure(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.layer.named_children())

    def error(self, parts: LayerParts) -> float:
        """Distance of the layer's output from its input plus these parts; 1 is rounding at most."""
        if any(part.name not in self.outputs for part in (*parts.attention, *parts.ffn)):
            return float("inf")
        attention, ffn = (
            torch.stack([part.factor * self.outputs[part.name] for part in own]).sum(0)
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
        rounding = self.eps * (self.before.norm() + self.after.norm())
        return float((expected - self.after).norm() / rounding)


def _verified(passes: Sequence[_LayerPass]) -> list[LayerParts | None]:
    """What each layer adds to the stream; None where the best candidate does not add up.

    Layers of one structure share it: late in a model the stream is so large that, in bfloat16, what
    one layer adds disappears in rounding, and every candidate would add up.
    """
    chosen: dict[tuple[str, ...], LayerParts] = {}
    for structure in {one.structure for one in passes}:
        alike = [one for one in passes if one.structure == structure]
        candidates = _candidates(alike[0].layer, alike[0].config)
        errors = [(sum(one.error(parts) for one in alike), parts) for parts in candidates]
        if errors:
            chosen[structure] = min(errors, key=lambda pair: pair[0])[1]
    best = [(one, chosen.get(one.structure)) for one in passes]
    return [parts if parts and one.error(parts) <= 1 else None for one, parts in best]


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
                tuple(Part(name, factor) for name in attention),
                tuple(Part(name, factor) for name in ffn),
            )
        yield LayerParts(
            tuple(Part(name, scales.get(name, 1.0)) for name in attention),
            tuple(map(Part, ffn)),
        )
    ffn_norms = tuple(map(Part, _children(layer, _FFN_NORMS)))
    for norm in _children(layer, _ATTENTION_NORMS) if ffn_norms else ():
        yield LayerParts((Part(norm),), ffn_norms)


def _one_pass(model: Any) -> list[_LayerPass]:
    """What each decoder layer reads and returns in a forward pass over a few tokens.

    Raises InputError when layers do not pass on one vector per token.
    """
    layers = decoder_layers(model)
    before: dict[int, Any] = {}
    after: dict[int, Any] = {}
    outputs: dict[tuple[int, str], Any] = {}
    hooks = []
    for index, layer in enumerate(layers):
        hooks.append(layer.register_forward_pre_hook(_keep_input(before, index), with_kwargs=True))
        hooks.append(layer.register_forward_hook(_keep_output(after, index)))
        for name, module in layer.named_children():
            hooks.append(module.register_forward_hook(_keep_output(outputs, (index, name))))
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
                name: outputs[index, name].float().reshape(before[index].shape)
                for name, _ in layer.named_children()
                if _fits(outputs.get((index, name)), before[index])
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
