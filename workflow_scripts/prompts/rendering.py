"""Conversations as token ids, and the positions at which targets are read.

A conversation is rendered and tokenized once, as a whole; positions follow from character offsets,
never from a search for tokens. An encoder-decoder's prompt and answer are tokenized separately.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import itemgetter
from typing import TYPE_CHECKING

from workflow_scripts.config.base import Position
from workflow_scripts.config.models import Architecture
from workflow_scripts.config.tasks import PromptSettings
from workflow_scripts.prompts.formats import Demonstration, Pieces, PlainFormat, format_of
from workflow_scripts.runtime.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# stands for the answer of an unlabelled item where only the prompt is read
PLACEHOLDER = "A"


@dataclass(frozen=True)
class Rendering:
    """One tokenized conversation: context, question turn, answer header, answer, end token.

    ids: the whole conversation.
    question: index of the first token after the context, which the question does not change. A
    text that the context shows before the question is a part of the context.
    query: index of the last token of the question turn, before the answer header.
    prompt: index of the last token of the prompt; it predicts the first answer token.
    boundaries: for each of `answer_ids`, the number of characters of the answer before it without
    white space (all of them, for the end token). Two tokenizers have read the same text where
    these are equal. Empty if the tokens come from no text.
    encoded: whether an encoder reads the prompt, with the special tokens that the tokenizer puts
    around every text, and a decoder the answer, after tokens that are given (`decoder_prefix`).
    """

    ids: tuple[int, ...]
    question: int
    query: int
    prompt: int
    boundaries: tuple[int, ...] = ()
    encoded: bool = False

    @property
    def prompt_ids(self) -> tuple[int, ...]:
        return self.ids[: self.prompt + 1]

    @property
    def answer_ids(self) -> tuple[int, ...]:
        """The answer's tokens and the end token."""
        return self.ids[self.prompt + 1 :]

    def positions(self, position: Position) -> range:
        """Indices at which states and logits are read.

        `answer`: the indices that predict each token of the answer. The first is `prompt`, which in
        the decoder of an encoder-decoder is the last token before the answer.
        """
        if position == "query":
            return range(self.query, self.query + 1)
        if position == "prompt":
            return range(self.prompt, self.prompt + 1)
        return range(self.prompt, len(self.ids) - 1)


class Renderer:
    """Renders questions and answers after one context of demonstrations."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        prompt: PromptSettings,
        demonstrations: Sequence[Demonstration] = (),
    ) -> None:
        self.tokenizer = tokenizer
        self._format = format_of(tokenizer, prompt, demonstrations)

    def render(
        self,
        questions: Sequence[str],
        answers: Sequence[str],
        before: Sequence[str | None] = (),
    ) -> list[Rendering]:
        """One rendering for each question and answer.

        before: for each question the text of the context that stands before it, in its turn.
        Raises InputError if a position falls inside a token, because white space at the edge of a
        question or answer merged with the text around it.
        """
        texts = self._pieces(questions, answers, before)
        tokens = _tokenized(self.tokenizer, [text.whole for text in texts])
        return [_of_decoder(text, of_text) for text, of_text in zip(texts, tokens, strict=True)]

    def _pieces(
        self, questions: Sequence[str], answers: Sequence[str], before: Sequence[str | None]
    ) -> list[Pieces]:
        rows = zip(questions, answers, before or [None] * len(questions), strict=True)
        return [self._format.pieces(*row) for row in rows]


class EncoderDecoderRenderer(Renderer):
    """For an encoder-decoder, always in the plain format: only T5Gemma's have a chat template."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        prompt: PromptSettings,
        demonstrations: Sequence[Demonstration] = (),
    ) -> None:
        self.tokenizer = tokenizer
        self._format = self._plain = PlainFormat(tokenizer, prompt, demonstrations)

    def render(
        self,
        questions: Sequence[str],
        answers: Sequence[str],
        before: Sequence[str | None] = (),
    ) -> list[Rendering]:
        """One rendering for each question and answer; raises InputError as `Renderer.render`."""
        texts = self._pieces(questions, [""] * len(questions), before)
        prompts = _tokenized(self.tokenizer, [text.prompt for text in texts])
        replies = _tokenized(self.tokenizer, answers)
        after, end = self._plain.put_after, self.tokenizer.eos_token_id
        return [
            _of_encoder_decoder(text, prompt, after, answer, reply, end)
            for text, prompt, answer, reply in zip(texts, prompts, answers, replies, strict=True)
        ]


RENDERERS: dict[Architecture, type[Renderer]] = {
    "causal": Renderer,
    "encoder-decoder": EncoderDecoderRenderer,
}


def teacher_renderer(
    architecture: Architecture,
    tokenizer: PreTrainedTokenizerBase,
    prompt: PromptSettings,
    system: str | None,
    demonstrations: Sequence[Demonstration] = (),
) -> Renderer:
    """Renders questions as a teacher sees them.

    prompt: of the task. system: of the teacher, instead of the prompt's; None keeps the prompt's.
    """
    if system is not None:
        prompt = prompt.model_copy(update={"system": system})
    return RENDERERS[architecture](tokenizer, prompt, demonstrations)


def refuse_misaligned(student: Rendering, teacher: Rendering, item: str) -> None:
    """Raises InputError unless both have the same tokens from the question on."""
    if student.ids[student.question :] != teacher.ids[teacher.question :]:
        raise InputError(
            f"item {item}: student and teacher tokenize the question differently, because of the "
            "teacher's `system` or the text of its `item` in front of it; use a teacher without "
            "it, or another model"
        )


def needed_tokens(rendering: Rendering, new_tokens: int = 0, context: int = 0) -> int:
    """Tokens of the context window that a conversation needs; encoder and decoder have one each.

    new_tokens: tokens to generate, if more than the answer has.
    context: tokens of the prompt that `rendering` lacks.
    """
    prompt = context + len(rendering.prompt_ids)
    answer = max(len(rendering.answer_ids), new_tokens)
    return max(prompt, answer) if rendering.encoded else prompt + answer


def refuse_too_long(
    renderings: Sequence[Rendering], items: Sequence[str], context_length: int, new_tokens: int = 0
) -> None:
    """Raises InputError if a conversation exceeds the context window; nothing is truncated.

    new_tokens: see `needed_tokens`.
    """
    lengths = [needed_tokens(rendering, new_tokens) for rendering in renderings]
    over = [(item, n) for item, n in zip(items, lengths, strict=True) if n > context_length]
    if over:
        item, length = max(over, key=lambda pair: pair[1])
        raise InputError(
            f"{len(over)} of {len(items)} items exceed the context window of {context_length} "
            f"tokens; the longest, item {item}, needs {length}: use fewer shots or remove them"
        )


# --- positions ----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Tokens:
    """offsets: begin and end of each token's characters in the text."""

    ids: list[int]
    offsets: list[tuple[int, int]]


def _tokenized(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[_Tokens]:
    if not texts:
        return []
    encoded = tokenizer(list(texts), add_special_tokens=False, return_offsets_mapping=True)
    pairs = zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
    return [_Tokens(ids, offsets) for ids, offsets in pairs]


def _of_decoder(text: Pieces, tokens: _Tokens) -> Rendering:
    question, header = _places(text, tokens)
    answer = _first_token("answer", len(text.prompt), text, tokens, joins=True)
    return Rendering(
        ids=tuple(tokens.ids),
        question=question,
        query=header - 1,
        prompt=answer - 1,
        boundaries=_boundaries(text.whole, tokens.offsets[answer:], len(text.prompt)),
    )


def _of_encoder_decoder(
    text: Pieces, prompt: _Tokens, after: Sequence[int], answer: str, reply: _Tokens, end: int
) -> Rendering:
    """after: tokens that follow the prompt."""
    question, header = _places(text, prompt)
    return Rendering(
        ids=(*prompt.ids, *after, *reply.ids, end),
        question=question,
        query=header - 1,
        prompt=len(prompt.ids) + len(after) - 1,
        boundaries=_boundaries(answer, [*reply.offsets, (len(answer), len(answer))]),
        encoded=True,
    )


def _places(text: Pieces, tokens: _Tokens) -> tuple[int, int]:
    """Indices of the first tokens of the question turn and of the answer header."""
    question = len(text.context)
    return (
        _first_token("question", question, text, tokens, joins=True),
        _first_token("header", question + len(text.question_turn), text, tokens),
    )


def _first_token(
    place: str, character: int, text: Pieces, tokens: _Tokens, joins: bool = False
) -> int:
    """Index of the token that begins with a character.

    joins: whether the token may begin with white space before it: a SentencePiece tokenizer makes
    one token of ` question`.
    """
    # some tokenizers leave white space out of offsets, so a token may begin a little later
    index = bisect_left(tokens.offsets, character, key=itemgetter(0))
    begin, end = tokens.offsets[index - 1] if index else (0, 0)
    if end <= character:
        return index
    if joins and text.whole[begin:character].isspace():
        return index - 1
    raise InputError(
        f"the {place} does not begin a new token in {text.whole[len(text.context) :]!r}: "
        "remove white space around it"
    )


def _boundaries(text: str, offsets: Sequence[tuple[int, int]], start: int = 0) -> tuple[int, ...]:
    """Number of characters between `start` and each token, without white space.

    A character that takes several tokens counts after all of them.
    """
    read = list(accumulate((not letter.isspace() for letter in text[start:]), initial=0))
    return tuple(read[max(begin - start, 0)] for begin, _ in offsets)
