"""Hidden states of a model, captured during a forward pass.

Site `block` is the residual stream after a layer, before the model's final norm; `attention` and
`ffn` are what those parts of the layer add to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

from workflow_scripts.config.base import Site
from workflow_scripts.modeling.teacher_forcing import unwrapped
from workflow_scripts.runtime.errors import InputError


@dataclass(frozen=True)
class Family:
    """Attribute names of an architecture.

    layers, embeddings: of the decoder. attention, ffn: of a layer.
    """

    layers: str
    attention: str
    ffn: str
    embeddings: tuple[str, ...] = ("embed_tokens",)


FAMILIES = {
    "llama": Family("layers", "self_attn", "mlp"),
    "qwen3": Family("layers", "self_attn", "mlp"),
    "opt": Family("layers", "self_attn", "fc2", ("embed_tokens", "embed_positions", "project_in")),
    "gpt2": Family("h", "attn", "mlp", ("wte", "wpe")),
    "gpt_neox": Family("layers", "attention", "mlp", ("embed_in",)),
}


def decoder_layers(model: Any) -> list[nn.Module]:
    """The decoder layers in order, inside any wrappers of PEFT or accelerate.

    Raises InputError for an architecture that is not in FAMILIES.
    """
    model = unwrapped(model)
    return list(getattr(model.get_decoder(), _family(model).layers))


def embeddings(model: Any) -> list[nn.Module]:
    """Modules before the first layer; raises InputError as `decoder_layers` does."""
    model = unwrapped(model)
    named = [getattr(model.get_decoder(), name, None) for name in _family(model).embeddings]
    # OPT has no projection where its embeddings are as wide as its layers
    return [module for module in named if module is not None]


class Capture:
    """Keeps the states of some sites at all layers, at given positions of one forward pass.

    Gradients flow from the states into the model, also after the block and under non-reentrant
    gradient checkpointing.

    rows, columns: (positions,), into the batch and its sequences.
    """

    def __init__(self, model: Any, sites: Sequence[Site], rows: Tensor, columns: Tensor) -> None:
        self._rows = rows
        self._columns = columns
        self._layers = decoder_layers(model)
        self._modules = {site: _site_modules(model, site) for site in sites}
        self._states: dict[tuple[Site, int], Tensor] = {}
        self._shape: tuple[int, int] = (0, 0)
        self._handles: list[Any] = []

    def __enter__(self) -> Self:
        for layer in self._layers:
            self._handles.append(layer.register_forward_pre_hook(self._note_shape))
        for site, modules in self._modules.items():
            for index, module in enumerate(modules):
                self._handles.append(module.register_forward_hook(self._keep(site, index)))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def states(self, site: Site) -> Tensor:
        """(layers, positions, width) in the model's dtype."""
        layers = range(len(self._layers))
        return torch.stack([self._states[site, layer] for layer in layers])

    def _note_shape(self, layer: nn.Module, arguments: tuple[Any, ...]) -> None:
        batch, length, _ = arguments[0].shape
        self._shape = (batch, length)

    def _keep(self, site: Site, layer: int) -> Callable[..., None]:
        def keep(module: nn.Module, arguments: Any, output: Any) -> None:
            # attention modules also return their weights
            states = output[0] if isinstance(output, tuple) else output
            # gradient checkpointing must not recompute this gathering: the hooks may be gone by
            # then
            with torch.autograd.graph.saved_tensors_hooks(_same, _same):
                # OPT runs its feed-forward layers on (batch · length, width)
                states = states.reshape(*self._shape, -1)
                kept = states[self._rows.to(states.device), self._columns.to(states.device)]
            # checkpointing runs a layer again in the backward pass; keep the first states
            self._states.setdefault((site, layer), kept)

        return keep


def _site_modules(model: Any, site: Site) -> list[nn.Module]:
    layers = decoder_layers(model)
    if site == "block":
        return layers
    name = getattr(_family(unwrapped(model)), site)
    return [getattr(layer, name) for layer in layers]


def _family(model: Any) -> Family:
    kind = model.config.model_type
    if kind not in FAMILIES:
        raise InputError(f"model type {kind} is not supported; valid: {', '.join(FAMILIES)}")
    return FAMILIES[kind]


def _same(tensor: Tensor) -> Tensor:
    return tensor
