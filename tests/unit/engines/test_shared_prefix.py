from __future__ import annotations

import pytest
import torch

from tests.tiny_models import FAMILIES, tiny_model
from workflow_scripts.engines.shared_prefix import growing_cache, prefix_cache, shared_length

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


@pytest.mark.parametrize("family", FAMILIES)
def test_one_prefix_serves_batches_of_any_size(family):
    model = tiny_model(family)
    prefix = prefix_cache(model, PREFIX)
    before = keys_of(prefix).clone()
    suffixes = torch.tensor([[9, 10], [11, 12], [13, 14]])
    with torch.inference_mode():
        expected = model(torch.cat([torch.tensor([PREFIX] * 3), suffixes], dim=1)).logits[:, 4:]
        for rows in (slice(0, 3), slice(1, 2), slice(0, 3)):
            found = model(suffixes[rows], past_key_values=prefix, use_cache=False).logits
            torch.testing.assert_close(found, expected[rows])
    assert torch.equal(keys_of(prefix), before)


def test_a_growing_cache_leaves_the_prefix_as_it_is():
    model = tiny_model("llama")
    prefix = prefix_cache(model, PREFIX)
    before = keys_of(prefix).clone()
    cache = growing_cache(prefix, rows=2)
    with torch.inference_mode():
        model(torch.tensor([[9], [10]]), past_key_values=cache, use_cache=True)
        model(torch.tensor([[11], [12]]), past_key_values=cache, use_cache=True)
    assert cache.get_seq_length() == len(PREFIX) + 2
    assert prefix.get_seq_length() == len(PREFIX)
    assert torch.equal(keys_of(prefix), before)
