"""The prefix that all prompts of a pass share: its keys and values are computed once.

Prompts with the same demonstrations begin with the same tokens. In a causal model the states of
those tokens depend on nothing after them, so every prompt's pass can start from their cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import Cache, DynamicLayer


def shared_length(sequences: Sequence[Sequence[int]], limit: int) -> int:
    """Number of leading tokens, at most `limit`, that are the same in all sequences."""
    # what the first and the last in lexicographic order share, all between them share too
    first, last = min(map(tuple, sequences)), max(map(tuple, sequences))
    pairs = zip(first[:limit], last[:limit], strict=False)
    return next(
        (length for length, (one, other) in enumerate(pairs) if one != other),
        min(limit, len(first), len(last)),
    )


class PrefixLayer(DynamicLayer):
    """One layer's keys and values of a prefix, seen by every row of a batch.

    What follows the prefix is seen but not kept: one cache serves any number of batches, of any
    size, and holds no more than the prefix.
    """

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        super().__init__()
        self.lazy_initialization(keys, values)
        self.keys, self.values = keys, values

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        rows = len(key_states)
        return (
            torch.cat([_repeated(self.keys, rows), key_states], dim=-2),
            torch.cat([_repeated(self.values, rows), value_states], dim=-2),
        )


def prefix_cache(model: PreTrainedModel, ids: Sequence[int]) -> Cache:
    """The prefix's keys and values at every layer, for teacher-forced passes."""
    # a DynamicCache without the config keeps all keys, also of sliding-window layers, whose
    # mask then hides what lies outside the window
    computed = DynamicCache()
    with torch.inference_mode():
        model.get_decoder()(
            input_ids=torch.tensor([ids], device=model.device),
            past_key_values=computed,
            use_cache=True,
        )
    return Cache(layers=[PrefixLayer(layer.keys, layer.values) for layer in computed.layers])


def growing_cache(prefix: Cache, rows: int) -> DynamicCache:
    """A cache for `rows` sequences that starts with the prefix and keeps what follows.

    The prefix itself stays as it is: growing makes new tensors.
    """
    grown = DynamicCache()
    for index, layer in enumerate(prefix.layers):
        grown.update(_repeated(layer.keys, rows), _repeated(layer.values, rows), index)
    return grown


def _repeated(states: Tensor, rows: int) -> Tensor:
    return states.expand(rows, -1, -1, -1)
