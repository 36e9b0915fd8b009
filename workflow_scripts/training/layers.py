"""Layers that a term names."""

from __future__ import annotations

from workflow_scripts.config.terms import Layers
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
