"""Hidden states of a model, read while it runs.

A state of site `block` is the residual stream after a layer, before the model's final norm;
`attention` and `ffn` are what those parts of the layer add to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

from workflow_scripts.config.base import Site
from workflow_scripts.config.terms import Layers
from workflow_scripts.modeling.architectures import decoder_layers, site_parts, states_in
from workflow_scripts.runtime.errors import InputError


def resolve_layers(layers: Layers, depth: int) -> list[int]:
    """Indices of the layers that a term names, in a model of `depth` layers.

    `early`, `middle` and `late` are thirds that cover all layers once; where depth is no
    multiple of three, the earlier thirds are the longer ones (28 layers: 10, 9, 9).

    Raises InputError when there is no such layer.
    """
    if layers == "all":
        return list(range(depth))
    if isinstance(layers, str):
        third = ("early", "middle", "late").index(layers)
        bounds = [(depth * count + 2) // 3 for count in (third, third + 1)]
        if bounds[0] == bounds[1]:
            raise InputError(f"layers: `{layers}` is empty in a model of {depth} layers")
        return list(range(*bounds))
    for layer in layers:
        if not 0 <= layer < depth:
            raise InputError(
                f"layers: layer {layer} does not exist; the model has layers 0 to {depth - 1}"
            )
    return list(layers)


class Capture:
    """Keeps the states of some sites at every layer, at given positions of one forward pass.

    Gradients flow from the states into the model, also after the block has ended and under
    gradient checkpointing without reentry.

    rows, columns: (positions,), into the batch and its sequences.
    """

    def __init__(self, model: Any, sites: Sequence[Site], rows: Tensor, columns: Tensor) -> None:
        self._rows = rows
        self._columns = columns
        self._layers = decoder_layers(model)
        self._parts = {site: site_parts(model, site) for site in sites}
        self._states: dict[tuple[Site, int, int], Tensor] = {}
        self._shape: tuple[int, int] = (0, 0)
        self._handles: list[Any] = []

    def __enter__(self) -> Self:
        for layer in self._layers:
            self._handles.append(
                layer.register_forward_pre_hook(self._note_shape, with_kwargs=True)
            )
        for site, layers in self._parts.items():
            for index, parts in enumerate(layers):
                for number, part in enumerate(parts):
                    keep = self._keep((site, index, number), part.factor)
                    self._handles.append(part.module.register_forward_hook(keep))
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
        return torch.stack(
            [
                sum(
                    (self._states[site, index, number] for number in range(1, len(parts))),
                    start=self._states[site, index, 0],
                )
                for index, parts in enumerate(self._parts[site])
            ]
        )

    def _note_shape(
        self, layer: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> None:
        batch, length, _ = (arguments[0] if arguments else named["hidden_states"]).shape
        self._shape = (batch, length)

    def _keep(self, place: tuple[Site, int, int], factor: float) -> Callable[..., None]:
        def keep(module: nn.Module, arguments: Any, output: Any) -> None:
            states = states_in(output)
            # what this gathering saves is not the checkpoint's to recompute: these hooks may be
            # gone by then
            with torch.autograd.graph.saved_tensors_hooks(_same, _same):
                # OPT runs its feed-forward part on (batch · length, width)
                states = states.reshape(*self._shape, -1)
                kept = states[self._rows.to(states.device), self._columns.to(states.device)]
                # times 1 it stays the same tensor
                kept = kept if factor == 1 else kept * factor
            # checkpointing runs a layer again in the backward pass; the first states count
            self._states.setdefault(place, kept)

        return keep


def _same(tensor: Tensor) -> Tensor:
    return tensor
