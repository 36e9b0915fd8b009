from __future__ import annotations

from itertools import islice

from workflow_scripts.pretraining.copies import made_up


def first(count: int, texts: list[str], seed: int = 0) -> list[str]:
    return list(islice(made_up(texts, seed), count))


def test_a_made_up_word_begins_and_ends_as_words_of_the_texts():
    words = {word for text in first(200, ["cab", "dig"]) for word in text.split()}
    beginnings = ["c", "ca", "cab", "d", "di", "dig"]
    ends = ["", "b", "ab", "cab", "g", "ig", "dig"]
    assert words <= {beginning + end for beginning in beginnings for end in ends}
    assert words - {"cab", "dig"}


def test_texts_have_one_word_or_two():
    assert {len(text.split()) for text in first(50, ["cab dig"])} == {1, 2}


def test_a_seed_always_makes_up_the_same():
    assert first(20, ["cab dig"], seed=1) == first(20, ["cab dig"], seed=1)
    assert first(20, ["cab dig"], seed=1) != first(20, ["cab dig"], seed=2)
