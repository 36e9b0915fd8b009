"""Conversations as token ids, and the positions that targets are read at.

A conversation is rendered once by the model's chat template and tokenized once, whole; every
position follows from character offsets of that rendering, never from a search for tokens. Base
models without a template get the task's plain `Question:/Answer:` format. For an encoder-decoder
prompt and answer are tokenized apart.
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


@dataclass(frozen=True)
class Rendering:
    """One tokenized conversation: context, question turn, answer header, answer, end token.

    ids: the whole conversation.
    question: index of the first token after the context, which the question does not change.
    query: index of the last token of the question turn, before the answer header.
    prompt: index of the last token of the prompt; it predicts the first answer token.
    boundaries: for each of `answer_ids`, how many characters of the answer come before it, white
    space not counted; before the end token, all of them. Two tokenizers have read the same text
    where these are equal. Empty of tokens that come from no text.
    encoded: whether an encoder reads the prompt, and a decoder the answer after a start token of
    the model's; both then end in the end token.
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
        """Indices whose states and logits are read.

        For `answer` these are the indices that predict the answer's tokens, one for each: the
        first is `prompt`, for which in a decoder its start token stands.
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

    def render(self, questions: Sequence[str], answers: Sequence[str]) -> list[Rendering]:
        """One rendering for each question and answer.

        Raises InputError when a position does not fall between two tokens, which happens when
        a question or answer begins or ends with white space that merges with its surroundings.
        """
        texts = [self._format.pieces(q, a) for q, a in zip(questions, answers, strict=True)]
        tokens = _tokenized(self.tokenizer, [text.whole for text in texts])
        return [_of_decoder(text, of_text) for text, of_text in zip(texts, tokens, strict=True)]


class EncoderDecoderRenderer(Renderer):
    """The same for an encoder-decoder, always in the plain format: T5 has no chat template."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        prompt: PromptSettings,
        demonstrations: Sequence[Demonstration] = (),
    ) -> None:
        self.tokenizer = tokenizer
        self._format = PlainFormat(tokenizer, prompt, demonstrations)

    def render(self, questions: Sequence[str], answers: Sequence[str]) -> list[Rendering]:
        """One rendering for each question and answer; raises InputError as `Renderer.render`."""
        texts = [self._format.pieces(q, "") for q in questions]
        prompts = _tokenized(self.tokenizer, [text.prompt for text in texts])
        replies = _tokenized(self.tokenizer, answers)
        return [
            _of_encoder_decoder(text, prompt, answer, reply, self.tokenizer.eos_token_id)
            for text, prompt, answer, reply in zip(texts, prompts, answers, replies, strict=True)
        ]


RENDERERS: dict[Architecture, type[Renderer]] = {
    "causal": Renderer,
    "encoder-decoder": EncoderDecoderRenderer,
}


def refuse_misaligned(student: Rendering, teacher: Rendering, item: str) -> None:
    """Raises InputError unless both end in the same tokens from the question on."""
    if student.ids[student.question :] != teacher.ids[teacher.question :]:
        raise InputError(f"item {item}: student and teacher tokenize the question differently")


def needed_tokens(rendering: Rendering, new_tokens: int = 0, context: int = 0) -> int:
    """Tokens of context that the conversation takes; encoder and decoder each have their own.

    new_tokens: generated after the prompt, where that is more than the answer.
    context: tokens that the prompt has beside those in `rendering`.
    """
    prompt = context + len(rendering.prompt_ids)
    answer = max(len(rendering.answer_ids), new_tokens)
    return max(prompt, answer) if rendering.encoded else prompt + answer


def refuse_too_long(
    renderings: Sequence[Rendering], items: Sequence[str], context_length: int, new_tokens: int = 0
) -> None:
    """Raises InputError when a conversation does not fit; nothing is ever cut.

    new_tokens: as of `needed_tokens`.
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
    """offsets: of each token, where its characters begin and end in the text."""

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
    text: Pieces, prompt: _Tokens, answer: str, reply: _Tokens, end: int
) -> Rendering:
    question, header = _places(text, prompt)
    return Rendering(
        ids=(*prompt.ids, end, *reply.ids, end),
        question=question,
        query=header - 1,
        prompt=len(prompt.ids),
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
    """Index of the token that holds a character, which is its first.

    joins: whether white space before the character may be of the same token: a SentencePiece
    tokenizer makes one token of ` question`.
    """
    # some tokenizers leave white space out of the offsets, so a token may begin a little later
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
    """How many characters lie between `start` and each token, white space not counted.

    Of several tokens that make one character, each is before it.
    """
    read = list(accumulate((not letter.isspace() for letter in text[start:]), initial=0))
    return tuple(read[max(begin - start, 0)] for begin, _ in offsets)
