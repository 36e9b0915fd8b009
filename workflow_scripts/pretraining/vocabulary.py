"""Tokenizers for models that are trained from scratch."""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from workflow_scripts.runtime.errors import InputError

PAD, END, UNKNOWN = "<pad>", "</s>", "<unk>"
END_OF_TEXT = "<|endoftext|>"
# separates examples where several are shown
_BREAK = "\n"


def sentencepiece_tokenizer(texts: Sequence[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """Byte-pair encoding of characters, with spaces marked `▁` (Kudo and Richardson 2018).

    Characters outside `texts` are `<unk>`. As in T5, padding is token 0, the end token is 1, and it
    follows every text. T5 itself uses a unigram model, but training one here gives different scores
    each time.

    vocabulary: maximum size; smaller where the texts offer no more merges.
    Raises InputError when that is too small for the characters of the texts.
    """
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(_BREAK, "isolated"),
            pre_tokenizers.Metaspace(prepend_scheme="first"),
            pre_tokenizers.Punctuation(),
            pre_tokenizers.Digits(individual_digits=True),
        ]
    )
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="first")
    characters = {"▁" if letter == " " else letter for text in texts for letter in text}
    _train(tokenizer, texts, vocabulary, [PAD, END, UNKNOWN], sorted({*characters, _BREAK, "▁"}))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {END}", special_tokens=[(END, tokenizer.token_to_id(END))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=PAD, eos_token=END, unk_token=UNKNOWN
    )


def byte_tokenizer(texts: Sequence[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """Byte-level byte-pair encoding, as in GPT-2 (Radford et al. 2019): it knows every text.

    vocabulary: maximum size; smaller where the texts offer no more merges.
    Raises InputError when that is too small for the 256 bytes.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    _train(tokenizer, texts, vocabulary, [END_OF_TEXT], alphabet)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END_OF_TEXT)


def _train(
    tokenizer: Tokenizer,
    texts: Sequence[str],
    vocabulary: int,
    special: Sequence[str],
    alphabet: Sequence[str],
) -> None:
    needed = len(special) + len(alphabet)
    if vocabulary < needed:
        raise InputError(
            f"scratch.vocabulary: {vocabulary} tokens are too few for an alphabet of "
            f"{len(alphabet)} and {len(special)} special tokens; set {needed} or more"
        )
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=vocabulary,
            special_tokens=list(special),
            initial_alphabet=list(alphabet),
            show_progress=False,
        ),
    )
