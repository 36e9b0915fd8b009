from __future__ import annotations

import random
from itertools import zip_longest

import pytest
import torch

from tests.tiny_models import FAMILIES, HYBRIDS, MIXTURES, PLAIN, WINDOWED, tiny_model
from workflow_scripts.modeling.prefix_cache import (
    caches_per_token,
    continues_prefixes,
    for_rows,
    left_padded,
    prefix_cache,
    prefix_groups,
)

TYPES = [*FAMILIES, *PLAIN, *MIXTURES, *WINDOWED, *HYBRIDS]
PREFIX = [5, 6, 7, 8]


def keys_of(cache) -> torch.Tensor:
    return torch.stack([layer.keys for layer in cache.layers])


def sequences_of(*groups: tuple[list[int], int]) -> list[list[int]]:
    """For each prefix so many sequences that differ behind it, in turn."""
    suffixed = [[[*prefix, 900 + n] for n in range(count)] for prefix, count in groups]
    return [ids for of_all in zip_longest(*suffixed) for ids in of_all if ids]


def grouped(sequences: list[list[int]], limits: list[int] | None = None):
    """(members, shared) of each group."""
    groups = prefix_groups(sequences, limits or [len(ids) - 1 for ids in sequences])
    return {(group.members, group.shared) for group in groups}


@pytest.mark.parametrize(
    ("sequences", "limits", "length"),
    [
        ([[1, 2, 3], [1, 2, 4], [1, 2, 3, 5]], [3, 3, 4], 2),
        ([[1, 2, 3], [1, 2, 3]], [3, 3], 3),
        ([[1, 2, 3], [1, 2, 3]], [2, 3], 2),
        ([[1, 2], [1, 2, 3]], [2, 3], 2),
        ([[1], [2]], [1, 1], 0),
        ([[1, 2], [1, 2]], [0, 2], 0),
    ],
)
def test_a_group_s_prefix_ends_at_the_first_difference_or_limit(sequences, limits, length):
    ((members, shared),) = grouped(sequences, limits)
    assert sorted(members) == list(range(len(sequences)))
    assert shared == length


SYSTEM, ONE, OTHER = list(range(30)), list(range(100, 700)), [100, *range(701, 1400)]


def test_sequences_after_one_prefix_are_one_group():
    sequences = sequences_of((SYSTEM + ONE, 9))
    assert grouped(sequences) == {(tuple(range(9)), 630)}


def test_documents_have_a_prefix_each_whatever_else_they_share():
    sequences = sequences_of((SYSTEM + ONE, 4), (SYSTEM + OTHER, 4))
    assert grouped(sequences) == {((1, 3, 5, 7), 730), ((0, 2, 4, 6), 630)}


def test_sequences_without_a_document_share_what_they_can():
    sequences = sequences_of((SYSTEM + ONE, 4), (SYSTEM, 4), (SYSTEM + OTHER, 1))
    assert grouped(sequences) == {((0, 3, 5, 7), 630), ((2, 1, 4, 6, 8), 30)}


def test_few_or_short_sequences_make_no_group_of_their_own():
    short = [*SYSTEM, *range(100, 140)]
    assert len(grouped(sequences_of((short, 4), (SYSTEM, 4)))) == 1
    assert len(grouped(sequences_of((SYSTEM + ONE, 1), (SYSTEM + OTHER, 1), (SYSTEM, 2)))) == 1


def test_groups_that_decode_apart_must_save_more():
    sequences = sequences_of((SYSTEM + ONE, 4), (SYSTEM + OTHER, 4))
    limits = [len(ids) - 1 for ids in sequences]
    counts = [len(prefix_groups(sequences, limits, steps)) for steps in (0, 50, 500)]
    assert counts == [2, 2, 1]


def test_no_sequence_is_lost_in_nested_prefixes():
    sequences = [list(range(n)) for n in range(1, 1500)]
    members = [m for of_group, _ in grouped(sequences) for m in of_group]
    assert sorted(members) == list(range(len(sequences)))


def test_groups_save_the_tokens_that_they_share():
    generator = random.Random(0)
    documents = [[*SYSTEM, *generator.choices(range(100, 900), k=400)] for _ in range(5)]
    sequences = [
        generator.choice(documents) + generator.choices(range(100, 900), k=9) for _ in range(60)
    ]
    groups = grouped(sequences)
    read = sum(shared + sum(len(sequences[m]) - shared for m in of) for of, shared in groups)
    assert len(groups) == 5
    assert read <= 5 * 430 + 60 * 9


def test_the_group_of_the_longest_sequence_comes_first_and_each_is_sorted_by_length():
    sequences = [SYSTEM + ONE + [1] * n for n in (3, 9, 5)] + [
        SYSTEM + OTHER + [1] * n for n in (2, 4)
    ]
    groups = prefix_groups(sequences, [len(ids) - 1 for ids in sequences])
    assert [group.members for group in groups] == [(4, 3), (1, 2, 0)]


def test_a_single_sequence_has_no_prefix_of_its_own():
    assert grouped([[1, 2, 3]]) == {((0,), 0)}


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
