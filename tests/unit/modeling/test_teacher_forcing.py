from __future__ import annotations

import pytest
import torch

from tests.tiny_models import tiny_model
from workflow_scripts.modeling import prefix_cache
from workflow_scripts.modeling.teacher_forcing import batches, head_positions

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


@pytest.mark.parametrize("family", ["llama", "mistral", "qwen3_next", "jamba", "gpt2"])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_items_with_different_documents_are_read_as_in_plain_passes(
    family, batch_size, monkeypatch
):
    monkeypatch.setattr(prefix_cache, "PAYS", 8)
    model = tiny_model(family)
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, 390, (4, 40), generator=generator).tolist()
    shared, documents = ids[0][:5], [row[5:] for row in ids[1:]]
    sequences = [
        shared + documents[n % 3] + ids[0][n : 2 * n + 6] if n % 4 else shared + ids[0][6:12]
        for n in range(14)
    ]
    positions = [range(len(own) - 3, len(own)) for own in sequences]
    read = {}
    prefixes = set()
    for batch in batches(model, sequences, positions, batch_size, "test"):
        prefixes.add(0 if batch.prefix is None else batch.prefix.get_seq_length())
        with torch.inference_mode(), head_positions(model, batch.rows, batch.columns):
            rows = model(**batch.inputs).logits.split(batch.counts)
        read |= dict(zip(batch.sequences, rows, strict=True))
    assert sorted(read) == list(range(len(sequences)))
    assert (len(prefixes) > 1) == (family != "jamba")
    for index, own in enumerate(sequences):
        with torch.inference_mode():
            expected = model(torch.tensor([own])).logits[0, -3:]
        difference = (read[index] - expected).norm() / expected.norm()
        assert difference <= 1e-5
