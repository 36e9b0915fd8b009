"""The caches of prefixes that prompts of a pass share, each computed once.

Prompts with the same demonstrations, system text or document begin with the same tokens. In a
causal model the states of those tokens depend on nothing after them, so every prompt's pass can
start from their cache. Where prompts have different documents, `prefix_groups` finds those that
share one.

There must be no padding between the prefix and the rest of a prompt: it would take up room in a
sliding window and change the state of a recurrent or convolutional layer. Teacher-forced passes
pad on the right, where no token that is read attends to it (`for_rows`). Generation pads on the
left, before the prefix (`left_padded`), which needs a cache of keys and values per token.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
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


# tokens that a group's own prefix must save: about what a pass apart from the others costs
PAYS = 512
# the same for each step of decoding, which reads all weights for few tokens
PAYS_PER_STEP = 16


@dataclass(frozen=True)
class PrefixGroup:
    """Sequences that begin with the same tokens.

    members: their indices, the longest first.
    shared: number of those tokens.
    """

    members: tuple[int, ...]
    shared: int


def whole_group(sequences: Sequence[Sequence[int]]) -> list[PrefixGroup]:
    """All sequences as one group without a prefix, for models that cannot share one."""
    return [PrefixGroup(_longest_first(range(len(sequences)), sequences), 0)]


def prefix_groups(
    sequences: Sequence[Sequence[int]], limits: Sequence[int], steps: int = 0
) -> list[PrefixGroup]:
    """The sequences in groups, so that computing each group's prefix once saves most tokens.

    In sorted order, sequences that share more tokens with each other than with their neighbours lie
    side by side. From the longest such prefix to the shortest, they become a group if a prefix of
    their own saves them enough tokens over the next shorter one; the others share what is left.

    limits: for each sequence the most tokens that may belong to its prefix.
    steps: of decoding that follow.
    Returns the group with the longest sequence first.
    """
    heads = [tuple(ids[:limit]) for ids, limit in zip(sequences, limits, strict=True)]
    order = sorted(range(len(heads)), key=heads.__getitem__)
    shared = [_common(heads[one], heads[other]) for one, other in pairwise(order)]
    groups = []
    # nested runs that are not over yet: length of their prefix, members that are in no group
    runs: list[tuple[int, list[int]]] = [(0, [])]
    for index, with_next in zip(order, [*shared, 0], strict=True):
        if with_next > runs[-1][0]:
            runs.append((with_next, [index]))
            continue
        runs[-1][1].append(index)
        while with_next < runs[-1][0]:
            length, members = runs.pop()
            shorter = max(with_next, runs[-1][0])
            if len(members) * (length - shorter) - length >= PAYS + steps * PAYS_PER_STEP:
                groups.append(members)
                members = []
            if runs[-1][0] < with_next:
                runs.append((with_next, members))
            else:
                runs[-1][1].extend(members)
    groups.append(runs[0][1])
    return sorted(
        (
            PrefixGroup(
                _longest_first(members, sequences),
                # all share what the first and the last in sorted order share
                _common(heads[members[0]], heads[members[-1]]) if len(members) > 1 else 0,
            )
            for members in map(partial(sorted, key=heads.__getitem__), filter(None, groups))
        ),
        key=lambda group: -len(sequences[group.members[0]]),
    )


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """Number of leading tokens that are the same in both."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(one), len(other)))


def _longest_first(members: Iterable[int], sequences: Sequence[Sequence[int]]) -> tuple[int, ...]:
    return tuple(sorted(members, key=lambda index: -len(sequences[index])))


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


class SelectedLayer(PrefixLayer):
    """One layer's keys and values of some rows of a batch, used in the same way."""

    def __init__(self, layer: DynamicLayer, rows: Tensor) -> None:
        super().__init__(layer.keys, layer.values)
        self._rows = rows

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        return (
            torch.cat([self.keys[self._rows], key_states], dim=-2),
            torch.cat([self.values[self._rows], value_states], dim=-2),
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


def selected(cache: DynamicCache, rows: Tensor) -> Cache:
    """A cache of these rows, with repetitions, for passes that change nothing in it.

    cache: that keeps a key and a value for every token (`left_padded`).
    """
    return Cache(layers=[SelectedLayer(layer, rows) for layer in cache.layers])


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
