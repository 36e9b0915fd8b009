"""Servers that are silent, slow, overloaded or in error: right answers after all, or one line.

Each trial is a small HTTP server of the OpenAI dialect that makes one fault, once or for good, and
an engine that asks it for completions or losses.
"""

from __future__ import annotations

import copy
import gzip
import io
import json
import os
import random
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stderr, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

from benchmarks.faults.counts import Counts
from tests.tiny_models import save_tiny_model
from tests.tiny_tokenizers import SMOLLM2_TEMPLATE, build_tokenizer
from workflow_scripts.config.models import ServerSettings
from workflow_scripts.config.tasks import GenerationSettings
from workflow_scripts.engines.protocol import Completion, in_order
from workflow_scripts.engines.server_engine import KEY_VARIABLE, open_server
from workflow_scripts.modeling.loading import LocalModel, open_model
from workflow_scripts.prompts.rendering import Rendering
from workflow_scripts.runtime.errors import InputError

KEY = "a-secret-key-of-a-server"
# a busy machine delays an answer by one
SECONDS = 2.0
RETRIES = 1
# of a trial: pauses and tries take five
LIMIT_SECONDS = 20.0
GENERATION = GenerationSettings(max_new_tokens=4, stop=("!",))
PROMPTS = [[5, 6, 7], [5, 6, 8], [5, 6, 9], [5, 6, 10]]
SCORED = [Rendering(ids=(1, 2, 3, 40, n), question=0, query=1, prompt=2) for n in range(50, 54)]

Request = Literal["generate", "score", "models"]
# sends a wrong answer, made from the right one
Send = Callable[["Handler", dict[str, Any]], None]


@dataclass(frozen=True)
class Fault:
    """Something that a server does.

    on: requests that it may happen to.
    end: of an engine that meets it once, which asks again (`same`) or does not (`refused`); for
    good, only what is `harmless` ends in the right answers.
    """

    send: Send
    on: tuple[Request, ...] = ("generate", "score", "models")
    end: Literal["same", "refused", "harmless"] = "same"


# --- the server ---------------------------------------------------------------------------


class Handler(BaseHTTPRequestHandler):
    """Answers by the rules of the faultless server, except where the trial has a fault."""

    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer("models", {"object": "list", "data": [{"id": "base", "object": "model"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        ids = body["prompt"]
        choice: dict[str, Any] = {
            "index": 0,
            "text": f"to {ids[-1]}! more",
            "finish_reason": "stop",
        }
        if body.get("echo"):
            values = [None, *[-token / 100 for token in ids[1:]], -0.5]
            choice["logprobs"] = {"token_logprobs": values}
        answer = {"id": "1", "object": "text_completion", "choices": [choice]}
        self._answer("score" if body.get("echo") else "generate", answer)

    def _answer(self, request: Request, right: dict[str, Any]) -> None:
        if self.server.faulty(request):
            with suppress(OSError):
                self.server.fault.send(self, right)
            self.close_connection = True
        else:
            self.send(200, right)

    def send(self, status: int, content: Any, *, headers: Mapping[str, str] | None = None) -> None:
        """content: bytes, or what JSON is made of."""
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        named = {"Content-Type": "application/json", "Content-Length": str(len(data))}
        self.send_response(status)
        for name, value in (named | dict(headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def now_and_then(self, data: bytes) -> None:
        """A byte now and then, until nobody listens."""
        for number in range(len(data)):
            self.wfile.write(data[number : number + 1])
            self.wfile.flush()
            if self.server.over.wait(SECONDS / 5):
                return

    def log_message(self, *arguments: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """A server with one fault.

    fault_on: request that meets it. times: how often it happens.
    """

    daemon_threads = True

    def __init__(self, fault: Fault, fault_on: Request, times: float) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.fault = fault
        self.over = threading.Event()
        self._fault_on = fault_on
        self._left = times
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def faulty(self, request: Request) -> bool:
        with self._lock:
            if request != self._fault_on or self._left <= 0:
                return False
            self._left -= 1
            return True

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # whoever gave up a request


# --- faults -------------------------------------------------------------------------------


def sent(content: Any, status: int = 200, **headers: str) -> Send:
    """These contents, whatever was asked."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler, right: handler.send(status, content, headers=named)


def answer(change: Callable[[dict[str, Any]], Any], **headers: str) -> Send:
    """The right answer after a change: in place, or to what is returned."""

    def send(handler: Handler, right: dict[str, Any]) -> None:
        changed = copy.deepcopy(right)
        returned = change(changed)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        handler.send(200, changed if returned is None else returned, headers=named)

    return send


def choice(**values: Any) -> Send:
    """The right answer with other values in its choice; a value of `...` removes the key."""

    def change(right: dict[str, Any]) -> None:
        own = right["choices"][0]
        own.update(values)
        for name in [name for name, value in values.items() if value is ...]:
            del own[name]

    return answer(change)


def logprobs(change: Callable[[list[Any]], Any]) -> Send:
    """The right answer with other log-probabilities."""

    def changed(right: dict[str, Any]) -> None:
        scores = right["choices"][0]["logprobs"]
        scores["token_logprobs"] = change(scores["token_logprobs"])

    return answer(changed)


def with_value(value: Any) -> Callable[[list[Any]], list[Any]]:
    """The list with this value in the place of one of the answer's tokens."""
    return lambda values: [*values[:3], value, *values[4:]]


def raw(data: bytes) -> Send:
    """Bytes on the connection, which is then closed."""
    return lambda handler, right: (handler.wfile.write(data), None)[1]


def cut(share: float) -> Send:
    """A part of the right answer, announced as whole; then the connection is closed."""

    def send(handler: Handler, right: dict[str, Any]) -> None:
        data = json.dumps(right).encode()
        length = {"Content-Length": str(len(data))}
        handler.send(200, data[: int(share * len(data))], headers=length)

    return send


def silence(handler: Handler, right: dict[str, Any]) -> None:
    handler.server.over.wait(LIMIT_SECONDS)


def slow_body(handler: Handler, right: dict[str, Any]) -> None:
    handler.send(200, b"", headers={"Content-Length": "1000"})
    handler.now_and_then(b" " * 1000)


def slow_headers(handler: Handler, right: dict[str, Any]) -> None:
    handler.now_and_then(b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 1000)


def slow_chunks(handler: Handler, right: dict[str, Any]) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    handler.now_and_then(b"1\r\n \r\n" * 200)


def endless(handler: Handler, right: dict[str, Any]) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while not handler.server.over.is_set():
        handler.wfile.write(b" " * 65536)


def chunked(handler: Handler, right: dict[str, Any]) -> None:
    data = json.dumps(right).encode()
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for piece in (data[:9], data[9:]):
        handler.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
    handler.wfile.write(b"0\r\n\r\n")


def reset(handler: Handler, right: dict[str, Any]) -> None:
    linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    handler.connection.close()


def told(status: int, **headers: str) -> Send:
    """An error, in the dialect, with the key and control characters in its text."""
    message = f"no,\nnot \x1b[31mwith {KEY}"
    return sent({"error": {"message": message}}, status, **headers)


PAGE = b"<!DOCTYPE html>\n<html><body><h1>502 Bad Gateway</h1></body></html>"
ELSEWHERE = "http://127.0.0.2:9/v1/completions?key=hidden"
TEXTS: tuple[Request, ...] = ("generate",)
SCORES: tuple[Request, ...] = ("score",)
COMPLETIONS: tuple[Request, ...] = ("generate", "score")
MODELS: tuple[Request, ...] = ("models",)

FAULTS: dict[str, Fault] = {
    # no JSON
    "a web page": Fault(sent(PAGE, Content_Type="text/html")),
    "a web page called JSON": Fault(sent(PAGE)),
    "an empty body": Fault(sent(b"")),
    "white space": Fault(sent(b"  \r\n")),
    "JSON cut in two": Fault(answer(lambda right: json.dumps(right).encode()[:30])),
    "JSON twice": Fault(answer(lambda right: json.dumps(right).encode() * 2)),
    "a stream of events": Fault(answer(lambda right: b"data: " + json.dumps(right).encode())),
    "bytes that are no text": Fault(sent(b'{"choices": "\xff\xfe\x80"}')),
    "JSON of 100,000 levels": Fault(sent(b"[" * 100_000)),
    "a number of 10,000 digits": Fault(sent(b'{"choices": ' + b"9" * 10_000 + b"}")),
    # other JSON
    "null": Fault(sent(b"null")),
    "a list": Fault(sent([])),
    "a text": Fault(sent(json.dumps(f"busy {KEY}").encode())),
    "a number": Fault(sent(b"3")),
    "an empty object": Fault(sent({})),
    "an error with status 200": Fault(sent({"error": {"message": f"no {KEY}"}})),
    # choices
    "choices of null": Fault(answer(lambda right: right | {"choices": None}), COMPLETIONS),
    "no choice": Fault(answer(lambda right: right | {"choices": []}), COMPLETIONS),
    "choices as an object": Fault(answer(lambda right: right | {"choices": {}}), COMPLETIONS),
    "two choices": Fault(
        answer(lambda right: right | {"choices": right["choices"] * 2}), COMPLETIONS
    ),
    "a choice of null": Fault(answer(lambda right: right | {"choices": [None]}), COMPLETIONS),
    "a choice that is text": Fault(answer(lambda right: right | {"choices": ["a"]}), COMPLETIONS),
    "the index 1": Fault(choice(index=1), COMPLETIONS),
    "an index of null": Fault(choice(index=None), COMPLETIONS),
    "an index that is text": Fault(choice(index="0"), COMPLETIONS),
    # texts
    "a text of null": Fault(choice(text=None), TEXTS),
    "no text": Fault(choice(text=...), TEXTS),
    "a text that is a number": Fault(choice(text=3), TEXTS),
    "a text that is a list": Fault(choice(text=["a"]), TEXTS),
    "half of a character": Fault(choice(text="\ud800"), TEXTS),
    "no reason of the end": Fault(choice(finish_reason=None), TEXTS),
    "an end by a filter": Fault(choice(finish_reason="content_filter"), TEXTS),
    "an aborted answer": Fault(choice(finish_reason="abort"), TEXTS),
    "an end that is a list": Fault(choice(finish_reason=[]), TEXTS),
    "tokens that are text": Fault(choice(token_ids=["a"]), TEXTS),
    "tokens in a text": Fault(choice(token_ids="12"), TEXTS),
    "a negative token": Fault(choice(token_ids=[-1]), TEXTS),
    "a token that the model lacks": Fault(choice(token_ids=[2**40]), TEXTS),
    "more tokens than were asked for": Fault(choice(token_ids=[5] * 9), TEXTS),
    # log-probabilities
    "no log-probabilities": Fault(choice(logprobs=...), SCORES),
    "log-probabilities of null": Fault(choice(logprobs=None), SCORES),
    "log-probabilities as text": Fault(choice(logprobs="none"), SCORES),
    "a list of them that is null": Fault(logprobs(lambda values: None), SCORES),
    "an empty list of them": Fault(logprobs(lambda values: []), SCORES),
    "one of them missing": Fault(logprobs(lambda values: values[:-2]), SCORES),
    "too many of them": Fault(logprobs(lambda values: values * 2), SCORES),
    "one that is null": Fault(logprobs(with_value(None)), SCORES),
    "one that is no number": Fault(logprobs(with_value(float("nan"))), SCORES),
    "one that is minus infinity": Fault(logprobs(with_value(-float("inf"))), SCORES),
    "one that is infinity": Fault(logprobs(with_value(float("inf"))), SCORES),
    "one above zero": Fault(logprobs(with_value(0.7)), SCORES),
    "one that is text": Fault(logprobs(with_value("-0.5")), SCORES),
    "one that is true": Fault(logprobs(with_value(True)), SCORES),
    "the scores of another prompt": Fault(choice(prompt_token_ids=[9, 9, 9]), SCORES),
    # models
    "models of null": Fault(sent({"data": None}), MODELS),
    "models that are text": Fault(sent({"data": ["base"]}), MODELS),
    "a model without a name": Fault(sent({"data": [{"object": "model"}]}), MODELS),
    "a model named by a number": Fault(sent({"data": [{"id": 3}]}), MODELS),
    "no model": Fault(sent({"data": []}), MODELS, "refused"),
    "only adapters": Fault(
        sent({"data": [{"id": "x\x1b[31m\n" * 999, "parent": "base"}]}), MODELS, "refused"
    ),
    # connections
    "a connection that is closed": Fault(raw(b"")),
    "a connection that is reset": Fault(reset),
    "an answer cut after its head": Fault(cut(0)),
    "an answer cut in its middle": Fault(cut(0.5)),
    "an answer cut before its end": Fault(cut(0.99)),
    "no HTTP": Fault(raw(b"SSH-2.0-OpenSSH_9.6\r\n")),
    "a head that is cut": Fault(raw(b"HTTP/1.1 200 OK\r\nContent-")),
    "a length that is no number": Fault(raw(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{}")),
    "a chunk of a wrong size": Fault(
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n")
    ),
    "a body that is not packed as it says": Fault(sent(PAGE, Content_Encoding="gzip")),
    "a packed body that is cut": Fault(
        answer(
            lambda right: gzip.compress(json.dumps(right).encode())[:-12], Content_Encoding="gzip"
        )
    ),
    "silence": Fault(silence),
    "a head that comes a byte now and then": Fault(slow_headers),
    "a body that comes a byte now and then": Fault(slow_body),
    "chunks that come now and then": Fault(slow_chunks),
    "a body without end": Fault(endless),
    # other statuses
    **{
        f"status {status}": Fault(told(status), end="same" if again else "refused")
        for statuses, again in (
            ((400, 401, 403, 404, 405, 413, 418, 422), False),
            ((408, 409, 429, 500, 502, 503, 504, 529), True),
        )
        for status in statuses
    },
    "a web page with status 502": Fault(sent(PAGE, 502, Content_Type="text/html")),
    "a web page with status 404": Fault(sent(PAGE, 404, Content_Type="text/html"), end="refused"),
    "a page of a million letters": Fault(sent(b"<html>" + b"a" * 10**6, 400), end="refused"),
    "status 429 and a pause": Fault(told(429, Retry_After="0.1")),
    "status 503 and a pause of a day": Fault(told(503, Retry_After="86400"), end="refused"),
    "status 204": Fault(raw(b"HTTP/1.1 204 No Content\r\n\r\n")),
    **{
        f"a redirect with status {status}": Fault(told(status, Location=ELSEWHERE), end="refused")
        for status in (301, 302, 303, 307, 308)
    },
    "a redirect to nowhere": Fault(told(302), end="refused"),
    "a redirect to no address": Fault(told(307, Location="http://[x/"), end="refused"),
    # nothing wrong
    "JSON called a web page": Fault(
        answer(lambda right: None, Content_Type="text/html"), end="harmless"
    ),
    "chunks": Fault(chunked, end="harmless"),
    "a packed body": Fault(
        answer(lambda right: gzip.compress(json.dumps(right).encode()), Content_Encoding="gzip"),
        end="harmless",
    ),
    "more than was asked": Fault(answer(lambda right: right | {"extra": [1]}), end="harmless"),
    "a usage of null": Fault(answer(lambda right: right | {"usage": None}), end="harmless"),
    "no index": Fault(choice(index=...), COMPLETIONS, "harmless"),
    "a byte order mark": Fault(
        answer(lambda right: b"\xef\xbb\xbf" + json.dumps(right).encode()), end="harmless"
    ),
    "JSON in UTF-16": Fault(
        answer(lambda right: json.dumps(right).encode("utf-16")), end="harmless"
    ),
}


# --- trials -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trial:
    """A fault on a kind of request, once or for good."""

    name: str
    on: Request
    lasting: bool

    def __str__(self) -> str:
        return f"{self.name}, {'always' if self.lasting else 'once'}, on {self.on}"

    @property
    def end(self) -> str:
        """How it should end."""
        fault = FAULTS[self.name]
        if fault.end == "harmless" or (fault.end == "same" and not self.lasting):
            return "same"
        return "refused"


TRIALS = [
    Trial(name, on, lasting)
    for name, fault in FAULTS.items()
    for on in fault.on
    for lasting in (False, True)
]


def run(count: int, seed: int) -> Counts:
    """Runs trials, each of them once before any is repeated."""
    draw = random.Random(seed)
    trials: list[Trial] = []
    while len(trials) < count:
        trials += draw.sample(TRIALS, min(len(TRIALS), count - len(trials)))
    with (
        tempfile.TemporaryDirectory() as folder,
        patch.dict(os.environ, {KEY_VARIABLE: KEY}),
        redirect_stderr(io.StringIO()),  # progress
        ThreadPoolExecutor(8) as threads,
    ):
        model = open_model(
            save_tiny_model("llama", build_tokenizer(SMOLLM2_TEMPLATE), Path(folder, "tiny"))
        )
        ends = list(threads.map(lambda trial: end_of(trial, model, Path(folder)), trials))
    faults = [
        f"{trial}: {end}" for trial, end in zip(trials, ends, strict=True) if end != trial.end
    ]
    right = [end for trial, end in zip(trials, ends, strict=True) if end == trial.end]
    return Counts(len(trials), right.count("refused"), right.count("same"), faults)


def end_of(trial: Trial, model: LocalModel, scratch: Path) -> str:
    """`same` for the right answers, `refused` for one line that says where; else what came."""
    began = time.monotonic()
    with served(trial) as server:
        try:
            end = asked(trial, model, server, scratch)
        except InputError as refusal:
            end = fault_of(str(refusal), server.url) or "refused"
        except Exception as error:
            end = f"{type(error).__name__}: {error}"
    seconds = time.monotonic() - began
    return end if seconds < LIMIT_SECONDS else f"{end}, after {seconds:.0f} s"


@contextmanager
def served(trial: Trial) -> Iterator[Server]:
    times = float("inf") if trial.lasting else 1
    with Server(FAULTS[trial.name], trial.on, times) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.over.set()
        server.shutdown()


def asked(trial: Trial, model: LocalModel, server: Server, scratch: Path) -> str:
    settings = ServerSettings(url=server.url, timeout=SECONDS, retries=RETRIES, concurrency=2)
    with open_server(model, settings, {}, scratch) as engine:
        if trial.on == "score":
            losses = in_order(engine.token_losses(SCORED, [None] * len(SCORED)))
            right = [[0.4, rendering.ids[-1] / 100] for rendering in SCORED]
            return "same" if losses == right else f"other losses: {losses}"
        texts = in_order(engine.generate(PROMPTS, GENERATION, [None] * len(PROMPTS)))
        expected = [Completion(f"to {ids[-1]}", True) for ids in PROMPTS]
        return "same" if texts == expected else f"other texts: {texts}"


def fault_of(line: str, url: str) -> str | None:
    """What is wrong with an error message."""
    if not line.startswith(url):
        return f"a line that does not begin with the URL: {line}"
    if not line.isprintable() or len(line) > 600:
        return f"not one line: {line!r}"
    if KEY in line or "hidden" in line:
        return f"a secret in a line: {line}"
    return None
