"""Learning rates that decrease from the last layer to the first.

Howard and Ruder 2018 (1801.06146), section 3.2: lower layers are more general and change less.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from workflow_scripts.modeling.architectures import decoder_layers, embeddings


def parameter_groups(
    model: Any,
    learning_rate: float,
    layer_decay: float,
    weight_decay: float,
    decayed: Collection[str],
) -> list[dict[str, Any]]:
    """Parameter groups of an optimizer, by learning rate and weight decay.

    Layer l of L has the rate learning_rate · layer_decay^(L−1−l), the embeddings and an output
    head tied to them learning_rate · layer_decay^L, and modules after the layers learning_rate.
    The groups with the highest rate come first.

    decayed: names of the weights that weight decay applies to.
    """
    above = _layers_above(model)
    groups: dict[tuple[int, bool], dict[str, Any]] = {}
    for name, weight in model.named_parameters():
        if not weight.requires_grad:
            continue
        key = (above.get(id(weight), 0), name not in decayed)
        group = {
            "params": [],
            "lr": learning_rate * layer_decay ** key[0],
            "weight_decay": 0.0 if key[1] else weight_decay,
        }
        groups.setdefault(key, group)["params"].append(weight)
    return [groups[key] for key in sorted(groups)]


def _layers_above(model: Any) -> dict[int, int]:
    """Identity of a weight → number of layers above it, for weights of layers and embeddings."""
    blocks = decoder_layers(model)
    depths = [(block, len(blocks) - 1 - index) for index, block in enumerate(blocks)]
    depths += [(module, len(blocks)) for module in embeddings(model)]
    return {id(weight): depth for module, depth in depths for weight in module.parameters()}
