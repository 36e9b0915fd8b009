from __future__ import annotations

import pytest

from workflow_scripts.pretraining.vocabulary import byte_tokenizer, sentencepiece_tokenizer
from workflow_scripts.runtime.errors import InputError

TEXTS = ["What is the plural of box?\nAnswer:", " boxes", "Write 12 in words.\nAnswer:", " twelve"]
KINDS = pytest.mark.parametrize("kind", [sentencepiece_tokenizer, byte_tokenizer])


@KINDS
def test_texts_come_back_from_their_tokens(kind):
    tokenizer = kind(TEXTS, 300)
    shown = "".join(TEXTS)
    ids = tokenizer(shown, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids) == shown


@KINDS
def test_the_same_texts_give_the_same_tokenizer(kind):
    first, second = (kind(TEXTS, 300).backend_tokenizer.to_str() for _ in range(2))
    assert first == second


@KINDS
def test_a_vocabulary_has_no_more_tokens_than_asked_for(kind):
    assert len(kind(TEXTS, 262)) <= 262


def test_padding_and_end_are_the_first_tokens_of_t5s():
    tokenizer = sentencepiece_tokenizer(TEXTS, 60)
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id) == (0, 1, 2)


def test_the_end_token_follows_every_text_as_in_t5():
    tokenizer = sentencepiece_tokenizer(TEXTS, 60)
    alone = tokenizer("box", add_special_tokens=False)["input_ids"]
    assert tokenizer("box")["input_ids"] == [*alone, tokenizer.eos_token_id]


def test_a_character_that_no_text_has_is_unknown_to_sentencepiece():
    tokenizer = sentencepiece_tokenizer(TEXTS, 60)
    assert tokenizer("boz")["input_ids"].count(tokenizer.unk_token_id) == 1


def test_no_character_is_unknown_to_bytes():
    tokenizer = byte_tokenizer(TEXTS, 300)
    assert tokenizer.decode(tokenizer("né ☃")["input_ids"]) == "né ☃"


def test_digits_are_tokens_of_their_own():
    tokenizer = sentencepiece_tokenizer(["12 12 12 12"], 40)
    assert tokenizer.tokenize("12") == ["▁", "1", "2"]


def test_no_token_holds_a_line_break_and_more():
    tokenizer = sentencepiece_tokenizer(["a?\nb"] * 4, 40)
    assert tokenizer.tokenize("a?\n\nb") == ["▁a", "?", "\n", "\n", "b"]


def test_demonstrations_can_be_separated_where_no_text_has_a_line_break():
    tokenizer = sentencepiece_tokenizer(["a b"], 40)
    assert tokenizer.unk_token_id not in tokenizer("a\n\nb")["input_ids"]


@pytest.mark.parametrize(("kind", "needed"), [(sentencepiece_tokenizer, 7), (byte_tokenizer, 257)])
def test_a_vocabulary_smaller_than_the_alphabet_is_refused(kind, needed):
    kind(["a b"], needed)
    with pytest.raises(InputError, match=rf"scratch\.vocabulary: .* set {needed} or more"):
        kind(["a b"], needed - 1)
