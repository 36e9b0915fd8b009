"""Conversations as text: context, question, answer header and answer.

Models with a chat template use it; the end of an answer is read from the template, because it need
not be the tokenizer's end token. Other models use the task's plain `Question:/Answer:` format.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from textwrap import shorten
from typing import TYPE_CHECKING, Protocol

from jinja2 import TemplateError

from workflow_scripts.config.tasks import PromptSettings
from workflow_scripts.runtime.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# longest quote in an error
_QUOTED = 60
# a thought that the generation prompt opens and closes: `<think>\n\n</think>`
_CLOSED_THOUGHT = re.compile(r"<(\w+)>\s*</\1>\s*$")


@dataclass(frozen=True)
class Demonstration:
    """One example in context.

    answer: None where only the question is shown.
    before: text shown before the question.
    """

    question: str
    answer: str | None
    before: str | None = None


@dataclass(frozen=True)
class Pieces:
    """The text of a conversation in four pieces.

    context: all that stands before the question, in its own turn too.
    answer: with its end of turn.
    """

    context: str
    question_turn: str
    header: str
    answer: str

    @property
    def prompt(self) -> str:
        return self.context + self.question_turn + self.header

    @property
    def whole(self) -> str:
        return self.prompt + self.answer


class Format(Protocol):
    """Writes the conversations of one task and context for one model."""

    def pieces(self, question: str, answer: str, before: str | None = None) -> Pieces:
        """before: text of the context that stands before the question, in its turn.

        Raises InputError if this format cannot show one of them.
        """


def format_of(
    tokenizer: PreTrainedTokenizerBase,
    prompt: PromptSettings,
    demonstrations: Sequence[Demonstration],
) -> Format:
    """The chat format if the tokenizer has a chat template, else the plain format.

    Raises InputError if the chat template cannot show the system text or a demonstration.
    """
    kind = ChatFormat if tokenizer.chat_template else PlainFormat
    return kind(tokenizer, prompt, demonstrations)


def end_tokens(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Tokens that end an answer in this tokenizer's conversations.

    Raises InputError if its chat template cannot write a conversation.
    """
    if not tokenizer.chat_template:
        return [tokenizer.eos_token_id]
    chat = ChatFormat(tokenizer, PromptSettings(), ())
    ids: list[int] = tokenizer(chat.ending.lstrip(), add_special_tokens=False)["input_ids"]
    before_a_turn = tokenizer(chat.ending_before_a_turn, add_special_tokens=False)["input_ids"]
    return list(dict.fromkeys([*ids, *before_a_turn]))


# feature of a chat template → the shortest conversation that needs it
_FEATURES: dict[str, tuple[PromptSettings, tuple[Demonstration, ...]]] = {
    "system": (PromptSettings(system="Answer."), ()),
    "demonstrations": (PromptSettings(), (Demonstration("cat", "cats"),)),
    "unanswered": (PromptSettings(), (Demonstration("cat", None),)),
}


def refused_features(tokenizer: PreTrainedTokenizerBase) -> dict[str, str]:
    """Feature that the chat template cannot show → reason; empty without a template.

    Features: `system` (a system text), `demonstrations`, `unanswered` (demonstrations without
    answers: two user turns in a row).
    Raises InputError if the template cannot even show a question and its answer.
    """
    if not tokenizer.chat_template:
        return {}
    ChatFormat(tokenizer, PromptSettings(), ()).pieces("mouse", "mice")
    refused = {}
    for name, (prompt, demonstrations) in _FEATURES.items():
        try:
            ChatFormat(tokenizer, prompt, demonstrations).pieces("mouse", "mice")
        except InputError as error:
            refused[name] = str(error)
    return refused


class ChatFormat:
    """The model's own chat template, with thinking off and a fixed date.

    The answer header is what the template writes between a question and its answer: the generation
    prompt and anything after it (gpt-oss names the channel), without a thought that the generation
    prompt leaves open (DeepSeek).

    ending: the end of an answer, up to and including its last special token.
    ending_before_a_turn: the first special token after an answer that another turn follows, as in
    demonstrations; OLMo 3 and gpt-oss end the last answer in another one.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        prompt: PromptSettings,
        demonstrations: Sequence[Demonstration],
    ) -> None:
        self._tokenizer = tokenizer
        self._prompt = prompt
        self._turns: list[dict[str, str]] = []
        if prompt.system is not None:
            self._turns.append(_turn("system", prompt.system))
        for shown in demonstrations:
            self._turns.append(_turn("user", _asked(prompt.question, shown)))
            if shown.answer is not None:
                self._turns.append(_turn("assistant", shown.answer))
        asked, other = (self._write(_turn("user", letter)) for letter in "AB")
        self._context = _common_beginning(asked, other)
        self._refuse_left_out(demonstrations)
        if asked == other:
            raise InputError("the chat template does not show what the user says")
        self._split_answer_turn(asked[len(self._context) + 1 :])

    def pieces(self, question: str, answer: str, before: str | None = None) -> Pieces:
        """Raises InputError if the template changes the question, the answer or `before`."""
        filled, lead = _fill(self._prompt.question, question), _lead(before)
        whole = self._write(_turn("user", lead + filled), _turn("assistant", answer))
        follows = f"{self._question_end}{self._written_header}{answer}{self._after_answer}"
        shown = whole[len(self._context) : len(whole) - len(follows)]
        if not (whole.startswith(self._context) and whole.endswith(follows)):
            raise InputError(
                f"the chat template changes the answer {_quoted(answer)} or the text before the "
                "question; remove markup of the template from the item"
            )
        if not shown.startswith(lead):
            raise InputError(
                f"the chat template changes the text before the question, {_quoted(lead)}; remove "
                "markup of the template from it"
            )
        shown = shown.removeprefix(lead)
        if shown.strip() != filled.strip():
            raise InputError(
                f"the chat template changes the question {_quoted(filled)}; remove markup of the "
                "template from it"
            )
        return Pieces(
            context=self._context + lead,
            question_turn=shown + self._question_end,
            header=self._header,
            answer=answer + self.ending,
        )

    def _refuse_left_out(self, demonstrations: Sequence[Demonstration]) -> None:
        """Refuses a context without the system text or some demonstration, in order."""
        system = self._prompt.system
        if system is not None and system.strip() not in self._context:
            raise InputError(
                f"the chat template leaves out the system text {_quoted(system)}; put it into "
                "`prompt.question` instead of `prompt.system`"
            )
        place = 0
        for number, shown in enumerate(demonstrations, start=1):
            question = _asked(self._prompt.question, shown)
            for name, text in (("question", question), ("answer", shown.answer)):
                if text is None:
                    continue
                found = self._context.find(text.strip(), place)
                if found < 0:
                    raise InputError(
                        f"the chat template leaves out the {name} of demonstration {number}, "
                        f"{_quoted(text)}; this model cannot be shown it"
                    )
                place = found + len(text.strip())

    def _split_answer_turn(self, asked: str) -> None:
        """Finds the text between a question and its answer, and after the answer.

        asked: the text after the question "A" without an answer.
        """
        before = len(self._context) + 1
        question = _turn("user", "A")
        prompted = self._write(question, prompted=True)[before:]
        answered, other = (
            self._write(question, _turn("assistant", letter))[before:] for letter in "AB"
        )
        written = _common_beginning(answered, other)
        # Phi-3's template ends every conversation with the end token, whoever spoke last
        self._question_end = (
            asked
            if written.startswith(asked)
            else asked.removesuffix(self._tokenizer.eos_token or "")
        )
        if answered == other or not written.startswith(self._question_end):
            raise InputError(
                "the chat template leaves out or rewrites a question once it is answered"
            )
        self._written_header = written.removeprefix(self._question_end)
        self._after_answer = answered[len(written) + 1 :]
        thought_is_closed = _CLOSED_THOUGHT.search(prompted) and prompted.startswith(
            self._question_end
        )
        self._header = (
            prompted.removeprefix(self._question_end)
            if thought_is_closed and not written.startswith(prompted)
            else self._written_header
        )
        tokens = [str(token) for token in self._tokenizer.added_tokens_decoder.values()]
        names = "|".join(re.escape(t) for t in sorted(tokens, key=len, reverse=True) if t.strip())
        goes_on = re.match(rf"\s*({names})", self._between_answer_and_question())
        self.ending_before_a_turn = goes_on.group(1) if goes_on else ""
        # the special tokens after an answer, else the one that begins the next turn (GLM-4), else
        # the end token
        if ends := re.match(rf"\s*({names})+", self._after_answer):
            self.ending = ends.group()
        elif goes_on and not self._after_answer.strip():
            self.ending = goes_on.group()
        else:
            self.ending = str(self._tokenizer.eos_token)

    def _between_answer_and_question(self) -> str:
        """What stands between an answer and the next question, which it includes; may be empty."""
        question = _turn("user", "A")
        try:
            going_on = [
                self._write(question, _turn("assistant", letter), question)[::-1] for letter in "BC"
            ]
        except InputError:  # a template may show one question alone
            return ""
        return _common_beginning(*going_on)[::-1]

    def _write(self, *turns: dict[str, str], prompted: bool = False) -> str:
        """The conversation of the context's turns and these.

        prompted: whether the header of the answer follows.
        """
        try:
            text = self._tokenizer.apply_chat_template(
                [*self._turns, *turns],
                tokenize=False,
                add_generation_prompt=prompted,
                # switches of several families; a template that does not know one ignores it
                enable_thinking=False,
                thinking=False,
                strftime_now=self._prompt.date.strftime,
            )
        # a template may raise an error of its own, or stumble over a conversation of this shape
        except (TemplateError, TypeError, ValueError, LookupError, AttributeError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(f"the chat template refuses the conversation ({reason})") from None
        assert isinstance(text, str)
        return text


class PlainFormat:
    """`Question: …\\nAnswer: …`, for models without a chat template.

    put_after: tokens that the tokenizer puts after every text.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        prompt: PromptSettings,
        demonstrations: Sequence[Demonstration],
    ) -> None:
        self._end = tokenizer.eos_token
        self._question = prompt.plain_question
        self._header = prompt.plain_answer
        system = [] if prompt.system is None else [prompt.system]
        blocks = "".join(f"{block}\n\n" for block in [*system, *map(self._shown, demonstrations)])
        self._context = _put_in_front(tokenizer) + blocks
        self.put_after = put_around(tokenizer)[1]

    def pieces(self, question: str, answer: str, before: str | None = None) -> Pieces:
        return Pieces(
            context=self._context + _lead(before),
            question_turn=_fill(self._question, question),
            header=self._header,
            answer=f" {answer}{self._end}",
        )

    def _shown(self, demonstration: Demonstration) -> str:
        asked = _asked(self._question, demonstration)
        if demonstration.answer is None:
            return asked.removesuffix("\n")
        return f"{asked}{self._header} {demonstration.answer}"


def put_around(tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    """The tokens that the tokenizer puts before and after every text."""
    encoded = tokenizer("a", return_special_tokens_mask=True)
    ids, added = encoded["input_ids"], encoded["special_tokens_mask"]
    before, after = (sum(takewhile(bool, mask)) for mask in (added, reversed(added)))
    return ids[:before], ids[len(ids) - after :]


def _put_in_front(tokenizer: PreTrainedTokenizerBase) -> str:
    """The tokens that the tokenizer puts before every text, as text.

    Raises InputError if that text encodes to other tokens.
    """
    ids, _ = put_around(tokenizer)
    text = "".join(tokenizer.convert_ids_to_tokens(ids))
    if tokenizer(text, add_special_tokens=False)["input_ids"] != ids:
        raise InputError(
            f"the tokenizer puts tokens {ids} before every text, but no text encodes to them; "
            "correct its tokenizer.json"
        )
    return text


def _common_beginning(one: str, other: str) -> str:
    pairs = zip(one, other, strict=False)
    length = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
    return one[:length]


def _fill(template: str, question: str) -> str:
    """Replaces `{question}` only: other braces are plain text."""
    return template.replace("{question}", question)


def _lead(before: str | None) -> str:
    """The text before a question, as it is written."""
    return "" if before is None else f"{before}\n\n"


def _asked(template: str, shown: Demonstration) -> str:
    return _lead(shown.before) + _fill(template, shown.question)


def _turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _quoted(text: str) -> str:
    return f"'{shorten(text, width=_QUOTED, placeholder='…')}'"
