from __future__ import annotations

import pytest
import torch

from tests.tiny_models import FAMILIES, HYBRIDS, MIXTURES, PLAIN, WINDOWED, tiny_model
from workflow_scripts.modeling.prefix_cache import (
    caches_per_token,
    continues_prefixes,
    for_rows,
    left_padded,
    prefix_cache,
    shared_length,
)

TYPES = [*FAMILIES, *PLAIN, *MIXTURES, *WINDOWED, *HYBRIDS]
PREFIX = [5, 6, 7, 8]


def keys_of(cache) -> torch.Tensor:
    return torch.stack([layer.keys for layer in cache.layers])


@pytest.mark.parametrize(
    ("sequences", "limit", "length"),
    [
        ([[1, 2, 3], [1, 2, 4], [1, 2, 3, 5]], 9, 2),
        ([[1, 2, 3], [1, 2, 3]], 9, 3),
        ([[1, 2, 3], [1, 2, 3]], 2, 2),
        ([[1, 2], [1, 2, 3]], 9, 2),
        ([[1, 2, 3]], 2, 2),
        ([[1], [2]], 9, 0),
        ([[1, 2], [1, 2]], 0, 0),
    ],
)
def test_the_shared_length_ends_at_the_first_difference_or_the_limit(sequences, limit, length):
    assert shared_length(sequences, limit) == length


@pytest.mark.parametrize("family", [family for family in TYPES if family != "jamba"])
def test_one_prefix_serves_batches_of_any_size(family):
    model = tiny_model(family)
    prefix = prefix_cache(model, PREFIX)
    suffixes = torch.tensor([[9, 10], [11, 12], [13, 14]])
    with torch.inference_mode():
        expected = model(torch.tensor([PREFIX + ids for ids in suffixes.tolist()])).logits[:, 4:]
        for rows in (slice(0, 3), slice(1, 2), slice(0, 3)):
            cache = for_rows(prefix, len(suffixes[rows]))
            found = model(suffixes[rows], past_key_values=cache, use_cache=False).logits
            difference = (found - expected[rows]).norm() / expected[rows].norm()
            assert difference <= 1e-5


@pytest.mark.parametrize("family", TYPES)
def test_attention_caches_per_token_but_recurrence_and_convolution_do_not(family):
    assert caches_per_token(tiny_model(family)) == (family not in HYBRIDS)


def test_a_state_that_transformers_starts_anew_is_not_continued():
    """Once transformers continues Jamba's, its entry in `_CONTINUED` saves time."""
    model = tiny_model("jamba")
    assert not continues_prefixes(model)
    cache = for_rows(prefix_cache(model, PREFIX), 1)
    with torch.inference_mode():
        whole = model(torch.tensor([[*PREFIX, 9, 10]])).logits[:, 4:]
        continued = model(torch.tensor([[9, 10]]), past_key_values=cache).logits
    assert (whole - continued).abs().max() > 0.1


def test_padding_comes_before_the_prefix_s_tokens():
    model = tiny_model("llama")
    prefix = prefix_cache(model, PREFIX)
    keys = left_padded(prefix, [0, 1, 9]).layers[-1].keys
    own = prefix.layers[-1].keys[0]
    assert keys.shape == (3, *own.shape)
    assert torch.equal(keys[0], own)
    assert torch.equal(keys[1, :, 1:], own[:, :-1])


def test_what_follows_leaves_the_prefix_as_it_is():
    model = tiny_model("llama")
    prefix = prefix_cache(model, PREFIX)
    before = keys_of(prefix).clone()
    cache = left_padded(prefix, [0, 0])
    with torch.inference_mode():
        model(torch.tensor([[9], [10]]), past_key_values=cache, use_cache=True)
        model(torch.tensor([[11], [12]]), past_key_values=cache, use_cache=True)
    assert cache.get_seq_length() == len(PREFIX) + 2
    assert prefix.get_seq_length() == len(PREFIX)
    assert torch.equal(keys_of(prefix), before)
