"""Generation and scoring through an OpenAI-compatible server, started here or already running."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import openai
from anyio.from_thread import BlockingPortal, start_blocking_portal
from openai import AsyncOpenAI, Timeout
from tqdm import tqdm

from workflow_scripts.config.models import ServerSettings
from workflow_scripts.config.tasks import GenerationSettings
from workflow_scripts.engines.decoding import Decoder, before_stop
from workflow_scripts.engines.protocol import Completion, Sampling
from workflow_scripts.engines.server_answers import (
    CheckingClient,
    UnusableAnswer,
    line,
    redirected_to,
)
from workflow_scripts.engines.vllm_server import vllm_server
from workflow_scripts.modeling.loading import LocalModel
from workflow_scripts.prompts.rendering import Rendering
from workflow_scripts.runtime.checksums import sha256_of
from workflow_scripts.runtime.errors import InputError

KEY_VARIABLE = "OPENAI_API_KEY"
# of a server that needs no key; openai's client wants one
_NO_KEY = "none"
# seconds until a server that is there accepts a connection
_CONNECT_SECONDS = 5.0

Question = TypeVar("Question")
Answer = TypeVar("Answer")


@contextmanager
def open_server(
    model: LocalModel,
    settings: ServerSettings,
    checkpoints: Mapping[str, Path],
    scratch: Path,
) -> Iterator[ServerEngine]:
    """The engine for a running server, or for one that starts and stops with the block.

    checkpoints: LoRA adapters. scratch: where a server started here writes its log.
    Raises InputError when the server cannot be reached or started, or refuses to load an adapter.
    """
    folders = {served_name(folder): folder for folder in checkpoints.values()}
    names: dict[str | None, str] = dict(zip(checkpoints, folders, strict=True))
    if settings.url is not None:
        with _connected(model, settings, settings.url, _key()) as connection:
            base = _offer(*connection, settings.model, folders)
            yield ServerEngine(model, *connection, settings, names | {None: base})
    else:
        with (
            vllm_server(model, folders, scratch) as url,
            _connected(model, settings, url, _NO_KEY, trust_env=False) as connection,
        ):
            yield ServerEngine(model, *connection, settings, names | {None: model.name})


def _key() -> str:
    """Raises InputError for a text that cannot be a key; the message does not show it."""
    key = os.environ.get(KEY_VARIABLE, "").strip() or _NO_KEY
    if not key.isascii() or not key.isprintable():
        raise InputError(
            f"the variable {KEY_VARIABLE} holds more than one line of plain letters; set it to the "
            "key alone"
        )
    return key


@contextmanager
def _connected(
    model: LocalModel, settings: ServerSettings, url: str, key: str, *, trust_env: bool = True
) -> Iterator[tuple[AsyncOpenAI, BlockingPortal]]:
    """A client, and the event loop that it works in: only there can a request be given up.

    trust_env: a proxy that is set in the environment cannot reach this machine's loopback address.
    """
    client = AsyncOpenAI(
        base_url=url,
        api_key=key,
        max_retries=settings.retries,
        timeout=Timeout(None, connect=_CONNECT_SECONDS),
        http_client=CheckingClient(settings.timeout, model.vocabulary, trust_env=trust_env),
    )
    with start_blocking_portal() as portal:
        try:
            yield client, portal
        finally:
            portal.call(client.close)


class ServerEngine:
    """An `Engine` that sends a server several requests at a time."""

    def __init__(
        self,
        model: LocalModel,
        client: AsyncOpenAI,
        portal: BlockingPortal,
        settings: ServerSettings,
        names: Mapping[str | None, str],
    ) -> None:
        """names: the server's names of the base model (None) and of the checkpoints."""
        self._decoder = Decoder.of(model)
        self._client = client
        self._portal = portal
        self._concurrency = settings.concurrency
        self._names = names

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        generation: GenerationSettings,
        checkpoints: Sequence[str | None],
        sampling: Sampling | None = None,
    ) -> Iterator[tuple[int, Completion]]:
        def ask(index: int, checkpoint: str | None) -> Completion:
            drawn = (
                {"temperature": 0}
                if sampling is None
                else {"temperature": sampling.temperature, "seed": sampling.seeds[index]}
            )
            choice = self._complete(
                checkpoint,
                prompts[index],
                max_tokens=generation.max_new_tokens,
                stop=list(generation.stop) or None,
                **drawn,
            )
            # tokens, where the server returns them, are decoded as in the other engines
            tokens = getattr(choice, "token_ids", None)
            text = (
                before_stop(choice.text, generation.stop)
                if tokens is None
                else self._decoder.completion(tokens, generation.stop).text
            )
            return Completion(text, choice.finish_reason == "stop")

        return self._answers("generation", ask, range(len(prompts)), checkpoints)

    def token_losses(
        self, renderings: Sequence[Rendering], checkpoints: Sequence[str | None]
    ) -> Iterator[tuple[int, list[float]]]:
        def ask(rendering: Rendering, checkpoint: str | None) -> list[float]:
            choice = self._complete(
                checkpoint, rendering.ids, max_tokens=1, echo=True, logprobs=1, temperature=0
            )
            logprobs = choice.logprobs.token_logprobs
            return [-value for value in logprobs[rendering.prompt + 1 : len(rendering.ids)]]

        return self._answers("answer loss", ask, renderings, checkpoints)

    def _complete(self, checkpoint: str | None, ids: Sequence[int], **options: Any) -> Any:
        """The only choice of the completion."""
        create = partial(
            self._client.completions.create,
            model=self._names[checkpoint],
            prompt=list(ids),
            # vLLM's additions to the standard: our end tokens, no penalty from the model's
            # generation_config.json, and tokens beside the text
            extra_body={
                "stop_token_ids": self._decoder.ends,
                "repetition_penalty": 1.0,
                "return_token_ids": True,
            },
            **options,
        )
        return self._portal.call(create).choices[0]

    def _answers(
        self,
        description: str,
        ask: Callable[[Question, str | None], Answer],
        questions: Sequence[Question],
        checkpoints: Sequence[str | None],
    ) -> Iterator[tuple[int, Answer]]:
        """The answers as they arrive. After a failure, yields those in flight, then raises it."""
        with (
            readable_errors(self._client),
            ThreadPoolExecutor(self._concurrency) as pool,
            tqdm(total=len(questions), desc=description, mininterval=2) as progress,
        ):
            places = {
                pool.submit(ask, question, name): place
                for place, (question, name) in enumerate(zip(questions, checkpoints, strict=True))
            }
            failure: BaseException | None = None
            try:
                for future in as_completed(places):
                    if future.cancelled():
                        continue
                    if error := future.exception():
                        failure = failure or error
                        for other in places:
                            other.cancel()
                        continue
                    yield places[future], future.result()
                    progress.update()
            finally:
                pool.shutdown(cancel_futures=True)
            if failure is not None:
                raise failure


def served_name(folder: Path) -> str:
    """An adapter's name at a server: the end of its path and a part of its weights' checksum.

    No two runs, and no two trainings of one run, share a name.
    """
    parts = [re.sub(r"[^\w.~+-]", "-", part) for part in folder.parts[-4:]]
    return ".".join([*parts, sha256_of(folder / "adapter_model.safetensors")[:8]])


def _offer(
    client: AsyncOpenAI, portal: BlockingPortal, base: str | None, folders: Mapping[str, Path]
) -> str:
    """Loads adapters that the server does not offer yet; returns the base model's name."""
    with readable_errors(client):
        models = portal.call(_models, client)
        parents = {card.id: getattr(card, "parent", None) for card in models}
        base = base or next((name for name, parent in parents.items() if parent is None), None)
        if base is None or base not in parents:
            raise InputError(
                f"{client.base_url}: the server offers {line(', '.join(parents)) or 'no model'}"
                + (f", not {base}: check `server.model`" if base else "")
            )
        for name, folder in folders.items():
            if name not in parents:
                portal.call(_load, client, name, folder.resolve())
    return base


async def _models(client: AsyncOpenAI) -> Sequence[Any]:
    return (await client.models.list()).data


async def _load(client: AsyncOpenAI, name: str, folder: Path) -> None:
    """Asks a vLLM server to load an adapter, which it does if it was started to allow that."""
    try:
        await client.post(
            "/load_lora_adapter", cast_to=str, body={"lora_name": name, "lora_path": str(folder)}
        )
    except openai.APIStatusError as error:
        if error.response.is_redirect:
            raise
        raise InputError(
            f"{client.base_url}: the server does not offer the adapter and refuses to load it "
            f"({error.status_code}); start it with --enable-lora --lora-modules {name}={folder}"
        ) from None


@contextmanager
def readable_errors(client: AsyncOpenAI) -> Iterator[None]:
    """Turns the client's errors into one-line InputErrors, without the key."""
    try:
        yield
    except openai.OpenAIError as error:
        raise InputError(f"{client.base_url}: {_what_is_wrong(client, error)}") from None


def _what_is_wrong(client: AsyncOpenAI, error: openai.OpenAIError) -> str:
    """What came of a request and what to do."""
    tries = f"in {client.max_retries + 1} tries" if client.max_retries else "in one try"
    match error:
        case openai.AuthenticationError() | openai.PermissionDeniedError():
            return (
                f"the server refuses access ({error.status_code}): check the variable "
                f"{KEY_VARIABLE}"
            )
        case openai.APIStatusError() if error.response.is_redirect:
            return (
                f"the server redirects to {redirected_to(error.response)}, and prompts and keys "
                "are not sent on; set `server.url` to the address that answers"
            )
        case openai.APIStatusError():
            return f"the server refuses a request: {line(error.message, client.api_key)}"
        case openai.APIConnectionError(__cause__=UnusableAnswer() as cause):
            return (
                f"not an answer of an OpenAI-compatible server {tries}, but {cause}; check "
                "`server.url` and the server's log, and rerun: the answers that came are kept"
            )
        case openai.APIConnectionError(__cause__=httpx2.ReadTimeout() as cause):
            return (
                f"{cause} {tries}; raise `server.timeout` or lower `server.concurrency`, and "
                "rerun: the answers that came are kept"
            )
        case openai.APIConnectionError(__cause__=cause):
            reason = line(str(cause), client.api_key) or type(cause).__name__
            return f"no answer from the server ({reason}): is it running?"
    return f"not an answer of an OpenAI-compatible server ({line(str(error), client.api_key)})"
