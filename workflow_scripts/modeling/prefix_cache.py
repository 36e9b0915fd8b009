"""The cache of the prefix that all prompts of a pass share, computed once.

Prompts with the same demonstrations begin with the same tokens. In a causal model the states of
those tokens depend on nothing after them, so every prompt's pass can start from their cache.

There must be no padding between the prefix and the rest of a prompt: it would take up room in a
sliding window and change the state of a recurrent or convolutional layer. Teacher-forced passes
pad on the right, where no token that is read attends to it (`for_rows`). Generation pads on the
left, before the prefix (`left_padded`), which needs a cache of keys and values per token.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import Cache, DynamicLayer, DynamicSlidingWindowLayer

# models whose recurrent or convolutional state transformers continues exactly when several tokens
# follow at once; for others (Jamba, Bamba, Mamba) it is silently wrong, so they share no prefix
_CONTINUED = frozenset(
    {
        "falcon_h1",
        "granitemoehybrid",
        "lfm2",
        "lfm2_moe",
        "nemotron_h",
        "olmo_hybrid",
        "qwen3_5_moe_text",
        "qwen3_5_text",
        "qwen3_next",
    }
)


def shared_length(sequences: Sequence[Sequence[int]], limit: int) -> int:
    """Number of leading tokens, at most `limit`, that are the same in all sequences."""
    # all sequences share what the first and the last in lexicographic order share
    first, last = min(map(tuple, sequences)), max(map(tuple, sequences))
    pairs = zip(first[:limit], last[:limit], strict=False)
    return next(
        (length for length, (one, other) in enumerate(pairs) if one != other),
        min(limit, len(first), len(last)),
    )


class PrefixLayer(DynamicLayer):
    """One layer's keys and values of a prefix, shared by all rows of a batch.

    Keys and values after the prefix are used but not kept, so one cache serves any number of
    batches of any size.
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


def caches_per_token(model: PreTrainedModel) -> bool:
    """Whether every layer caches only a key and a value per token."""
    return all(map(_is_per_token, DynamicCache(config=model.config).layers))


def continues_prefixes(model: PreTrainedModel) -> bool:
    """Whether a pass that starts from a prefix's cache equals one over whole sequences."""
    return model.config.get_text_config().model_type in _CONTINUED or caches_per_token(model)


def prefix_cache(model: PreTrainedModel, ids: Sequence[int]) -> Cache:
    """The prefix's cache at every layer, one row, for `for_rows` and `left_padded`."""
    computed = DynamicCache(config=model.config)
    # sliding-window layers keep all keys too, and their mask hides those outside the window:
    # transformers' own cache drops keys that `left_padded` still needs
    computed.layers = [
        DynamicLayer() if _is_per_token(layer) else layer for layer in computed.layers
    ]
    with torch.inference_mode():
        model.get_decoder()(
            input_ids=torch.tensor([ids], device=model.device),
            past_key_values=computed,
            use_cache=True,
        )
    return Cache(
        layers=[
            PrefixLayer(layer.keys, layer.values) if _is_per_token(layer) else layer
            for layer in computed.layers
        ]
    )


def for_rows(prefix: Cache, rows: int) -> Cache:
    """The prefix's cache for one forward pass over `rows` sequences.

    Such a pass overwrites recurrent and convolutional states, so it gets copies of them.
    """
    return Cache(
        layers=[
            layer if isinstance(layer, PrefixLayer) else _copied(layer, rows)
            for layer in prefix.layers
        ]
    )


def left_padded(prefix: Cache, padding: Sequence[int]) -> DynamicCache:
    """The prefix's columns in a batch of whole sequences that are padded on the left.

    In a row with n columns of padding the prefix starts n columns later, so its last n tokens do
    not fit into the cache and the model reads them again. Keys were computed at their tokens'
    positions, so they can be shifted. The returned cache grows; `prefix` does not change.

    padding: columns before each row's first token, which the attention mask must hide.
    """
    shifts = [min(columns, prefix.get_seq_length()) for columns in padding]
    grown = DynamicCache()
    for index, layer in enumerate(prefix.layers):
        grown.update(_shifted(layer.keys, shifts), _shifted(layer.values, shifts), index)
    return grown


def _is_per_token(layer: Any) -> bool:
    # not a subclass, which may keep more
    return type(layer) in (DynamicLayer, DynamicSlidingWindowLayer)


def _copied(layer: Any, rows: int) -> Any:
    copied = deepcopy(layer)
    # the only call that selects rows of every kind of state: here the first, `rows` times
    copied.reorder_cache(torch.zeros(rows, dtype=torch.long))
    return copied


def _shifted(states: Tensor, shifts: Sequence[int]) -> Tensor:
    """(shifts, heads, length, width): the row (1, …) moved by each shift in columns."""
    return torch.cat([pad(states, (0, 0, shift, -shift)) for shift in shifts])


def _repeated(states: Tensor, rows: int) -> Tensor:
    return states.expand(rows, -1, -1, -1)
