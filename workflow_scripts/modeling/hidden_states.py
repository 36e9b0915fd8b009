"""Hidden states of a model, captured during a forward pass.

Site `block` is the residual stream after a layer, before the model's final norm; `attention` and
`ffn` are what those parts of the layer add to it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from workflow_scripts.config.base import Site
from workflow_scripts.modeling.architectures import decoder_layers, site_parts, states_in


class Capture:
    """Keeps the states of some sites at some layers, at given positions of one forward pass.

    Gradients flow from the states into the model, also after the block and under non-reentrant
    gradient checkpointing.

    rows, columns: (positions,), into the batch and its sequences.
    layers: site → those that are kept; all of them by default.
    """

    def __init__(
        self,
        model: Any,
        sites: Sequence[Site],
        rows: Tensor,
        columns: Tensor,
        layers: Mapping[Site, Collection[int]] | None = None,
    ) -> None:
        self._rows = rows
        self._columns = columns
        self._layers = decoder_layers(model)
        self._parts = {
            site: {
                index: parts
                for index, parts in enumerate(site_parts(model, site))
                if layers is None or index in layers[site]
            }
            for site in sites
        }
        self._states: dict[tuple[Site, int, int], Tensor] = {}
        self._shape: tuple[int, int] = (0, 0)
        self._handles: list[Any] = []

    def __enter__(self) -> Self:
        for layer in self._layers:
            self._handles.append(
                layer.register_forward_pre_hook(self._note_shape, with_kwargs=True)
            )
        for site, layers in self._parts.items():
            for index, parts in layers.items():
                for number, (module, factor) in enumerate(parts):
                    keep = self._keep((site, index, number), factor)
                    self._handles.append(module.register_forward_hook(keep))
        return self

    def __exit__(self, *error: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def states(self, site: Site) -> Tensor:
        """(layers, positions, width) in the model's dtype: the kept layers, in order."""
        return torch.stack(list(self.by_layer(site).values()))

    def by_layer(self, site: Site) -> dict[int, Tensor]:
        """Index of each kept layer → (positions, width) in the model's dtype."""
        return {
            index: sum(
                (self._states[site, index, number] for number in range(1, len(parts))),
                start=self._states[site, index, 0],
            )
            for index, parts in self._parts[site].items()
        }

    def _note_shape(
        self, layer: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> None:
        batch, length, _ = (arguments[0] if arguments else named["hidden_states"]).shape
        self._shape = (batch, length)

    def _keep(self, place: tuple[Site, int, int], factor: float) -> Callable[..., None]:
        def keep(module: nn.Module, arguments: Any, output: Any) -> None:
            states = states_in(output)
            # gradient checkpointing must not recompute this gathering: the hooks may be gone by
            # then
            with torch.autograd.graph.saved_tensors_hooks(_same, _same):
                # OPT runs its feed-forward layers on (batch · length, width)
                states = states.reshape(*self._shape, -1)
                kept = states[self._rows.to(states.device), self._columns.to(states.device)]
                # times 1 it stays the same tensor
                kept = kept if factor == 1 else kept * factor
            # checkpointing runs a layer again in the backward pass; keep the first states
            self._states.setdefault(place, kept)

        return keep


def _same(tensor: Tensor) -> Tensor:
    return tensor
