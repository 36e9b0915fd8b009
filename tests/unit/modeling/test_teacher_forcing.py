from __future__ import annotations

import pytest
import torch

from tests.tiny_models import tiny_model
from workflow_scripts.modeling.teacher_forcing import batches

SEQUENCES = [(5, 6, 7, 8), (5, 6, 9, 10, 11, 12), (5, 6, 7)]
LAST = [range(len(ids) - 1, len(ids)) for ids in SEQUENCES]


@pytest.fixture(scope="module")
def model():
    return tiny_model("llama")


def test_the_longest_sequences_come_first(model):
    order = [batch.sequences for batch in batches(model, SEQUENCES, LAST, 2, "test")]
    assert order == [(1, 0), (2,)]


def test_the_tokens_at_the_positions_are_those_of_the_sequences(model):
    for batch in batches(model, SEQUENCES, LAST, 2, "test"):
        read = batch.input_ids[batch.rows, batch.columns].tolist()
        assert read == [SEQUENCES[index][-1] for index in batch.sequences]


def test_what_follows_the_last_position_is_cut(model):
    first = [range(2, 3) for _ in SEQUENCES]
    (batch,) = batches(model, SEQUENCES, first, 3, "test")
    assert batch.input_ids.tolist() == [[7], [9], [7]]


def test_a_position_inside_what_is_shared_is_still_read(model):
    early = [range(1, 2), range(1, 6), range(1, 3)]
    (batch,) = batches(model, SEQUENCES, early, 3, "test")
    assert batch.prefix.get_seq_length() == 1
    assert batch.counts == (5, 2, 1)
    assert torch.equal(batch.columns, torch.tensor([0, 1, 2, 3, 4, 0, 1, 0]))


def test_no_sequences_make_no_batches(model):
    assert list(batches(model, [], [], 2, "test")) == []
