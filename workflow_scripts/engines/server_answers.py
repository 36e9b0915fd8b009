"""What servers send back: whole within a time limit, and an answer to what was asked.

A server that is overloaded, restarted or behind a proxy also sends web pages, halves of answers
and answers without content, with status 200. openai's client then does what it does when a
connection is lost: it asks again, after a growing pause.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx2
from openai import DefaultAsyncHttpxClient

# bytes; log-probabilities of 100,000 tokens take a quarter
LARGEST = 2**26
_READ_LETTERS = 10_000
_SHOWN_LETTERS = 120
# what is shorter is no secret, but a word for "none"
_SHORTEST_KEY = 8
# log-probabilities are negative but for rounding
_ROUNDING = 1e-3


class UnusableAnswer(httpx2.RequestError):
    """Something else than an answer to the request. The message says what."""


class CheckingClient(DefaultAsyncHttpxClient):
    """An HTTP client that returns whole answers to what an OpenAI-compatible server was asked.

    It follows no redirects, which would carry prompts and the key to another server.
    """

    def __init__(self, seconds: float, vocabulary: int, *, trust_env: bool = True) -> None:
        """seconds: for a request, from sending it to the last byte of the answer.

        vocabulary: number of tokens of the model.
        trust_env: whether the environment may name a proxy.
        """
        super().__init__(follow_redirects=False, trust_env=trust_env)
        self._seconds = seconds
        self._vocabulary = vocabulary

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Raises RequestErrors, ReadTimeout and UnusableAnswer among them; openai retries these."""
        async with self._limit(request):
            response = await super().send(request, **options | {"stream": True})
            try:
                content = await _content(response)
            finally:
                await response.aclose()
        headers = dict(response.headers)
        for name in ("content-encoding", "content-length", "transfer-encoding"):
            headers.pop(name, None)  # of what came, not of what it was decoded to
        if response.is_success and self._check(request, content):
            headers["content-type"] = "application/json"  # else openai leaves it text
        return httpx2.Response(
            response.status_code, headers=headers, content=content, request=request
        )

    @asynccontextmanager
    async def _limit(self, request: httpx2.Request) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._seconds):
                yield
        except TimeoutError:
            raise httpx2.ReadTimeout(
                f"no whole answer within {self._seconds:g} s", request=request
            ) from None

    def _check(self, request: httpx2.Request, content: bytes) -> bool:
        """Whether the answer is JSON that was checked. Raises UnusableAnswer."""
        path = request.url.path.rstrip("/")
        if not path.endswith(("/completions", "/models")):
            return False
        try:
            answer = _json(content)
            if path.endswith("/models"):
                check_models(answer)
            else:
                check_completion(json.loads(request.content), answer, self._vocabulary)
        except UnusableAnswer as fault:
            key = request.headers.get("authorization", "").removeprefix("Bearer ")
            raise UnusableAnswer(f"{fault}; it sent {quoted(content, key)}") from None
        return True


async def _content(response: httpx2.Response) -> bytes:
    content = bytearray()
    async for chunk in response.aiter_bytes():
        content += chunk
        if len(content) > LARGEST:
            raise UnusableAnswer(f"an answer of more than {LARGEST / 2**20:.0f} MiB")
    return bytes(content)


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise UnusableAnswer("an answer that is not JSON") from None


# --- answers ------------------------------------------------------------------------------


def check_models(answer: Any) -> None:
    """Raises UnusableAnswer for anything but a list of models, each with its name."""
    cards = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(cards, list) or not all(
        isinstance(card, dict) and isinstance(card.get("id"), str) for card in cards
    ):
        raise UnusableAnswer("no list of models with an `id` each")


def check_completion(asked: Mapping[str, Any], answer: Any, vocabulary: int) -> None:
    """Raises UnusableAnswer where what was asked for is not there, or cannot be.

    asked: the body of the request, for one choice: a text, or with `echo` the log-probabilities
    of the prompt. vocabulary: number of tokens of the model.
    """
    choices = answer.get("choices") if isinstance(answer, dict) else None
    if not isinstance(choices, list) or not choices:
        raise UnusableAnswer("an answer without `choices`")
    if len(choices) > 1:
        raise UnusableAnswer(f"{len(choices)} choices where one was asked for")
    (choice,) = choices
    if not isinstance(choice, dict):
        raise UnusableAnswer("a choice that is no object")
    if choice.get("index", 0) != 0:
        raise UnusableAnswer(f"a choice with the index {line(repr(choice['index']))} instead of 0")
    if asked.get("echo"):
        _check_scores(asked["prompt"], choice)
    else:
        _check_text(choice, asked["max_tokens"], vocabulary)


def _check_text(choice: Mapping[str, Any], limit: int, vocabulary: int) -> None:
    tokens = choice.get("token_ids")
    if tokens is None:
        text = choice.get("text")
        if not isinstance(text, str) or not _is_unicode(text):
            raise UnusableAnswer("a choice without `text`")
    elif not isinstance(tokens, list) or not all(_is_token(token, vocabulary) for token in tokens):
        raise UnusableAnswer("`token_ids` that are not all tokens of the model")
    elif len(tokens) > limit:
        raise UnusableAnswer(f"{len(tokens)} tokens where {limit} at most were asked for")
    if choice.get("finish_reason") not in ("stop", "length"):
        reason = line(repr(choice.get("finish_reason")))
        raise UnusableAnswer(f"a choice with `finish_reason` {reason}, not 'stop' or 'length'")


def _check_scores(prompt: Sequence[int], choice: Mapping[str, Any]) -> None:
    scored = choice.get("prompt_token_ids")
    if scored is not None and scored != prompt:
        raise UnusableAnswer("the scores of another prompt")
    logprobs = choice.get("logprobs")
    values = logprobs.get("token_logprobs") if isinstance(logprobs, dict) else None
    if not isinstance(values, list):
        raise UnusableAnswer(
            "no log-probabilities: perhaps the server does not score prompts (`echo` with "
            "`logprobs`), which vLLM's does and `engine: transformers` needs none for"
        )
    # of the prompt, and perhaps of the token that is generated
    if len(values) - len(prompt) not in (0, 1):
        raise UnusableAnswer(f"{len(values)} log-probabilities of {len(prompt)} tokens")
    # nothing predicts the first token
    for place, value in enumerate(values[1 : len(prompt)], start=1):
        if not _is_number(value) or not -math.inf < value <= _ROUNDING:
            raise UnusableAnswer(f"{line(repr(value))} as the log-probability of token {place}")


def _is_token(value: Any, vocabulary: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < vocabulary


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_unicode(text: str) -> bool:
    """JSON can spell halves of characters, which no file takes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


# --- what a server says, in messages ------------------------------------------------------


def quoted(content: bytes, key: str) -> str:
    """The beginning of what a server said, without the key."""
    text = content[:_READ_LETTERS].decode(errors="replace")
    return f"'{line(text, key)}'" if text.strip() else "nothing"


def line(text: str, key: str = "") -> str:
    """The beginning of a text as one printable line, without the key."""
    text = text[:_READ_LETTERS]
    if len(key) >= _SHORTEST_KEY:
        text = text.replace(key, "…")
    words = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return words if len(words) <= _SHOWN_LETTERS else f"{words[:_SHOWN_LETTERS]}…"


def redirected_to(response: httpx2.Response) -> str:
    """The server that a redirect names, without what else its address holds."""
    try:
        target = urlsplit(response.headers.get("location", ""))
        port = f":{target.port}" if target.port else ""
    except ValueError:
        return "another place"
    return line(f"{target.scheme}://{target.hostname}{port}") if target.hostname else "another path"
