"""Against a small HTTP server of the OpenAI dialect; tests/vllm uses a real one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

from workflow_scripts.config.models import ServerSettings
from workflow_scripts.config.tasks import GenerationSettings
from workflow_scripts.engines.protocol import Sampling, in_order
from workflow_scripts.engines.server_engine import open_server, served_name
from workflow_scripts.engines.vllm_server import serve_command, vllm_server
from workflow_scripts.prompts.rendering import Rendering
from workflow_scripts.runtime import process_guard
from workflow_scripts.runtime.errors import InputError

GENERATION = GenerationSettings(max_new_tokens=4, stop=("!",))
PROMPTS = [[5, 6, 7], [5, 6, 8], [5, 6, 9]]


class FakeServer(ThreadingHTTPServer):
    """Says `<model>:<last prompt token>!…`; a token's loss is the token's number over 100."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.models: dict[str, str | None] = {"base": None}
        self.asked: list[dict] = []
        self.failures: list[int] = []
        self.location: str | None = None
        self.may_load = False
        # the barrier opens once this number of requests is in flight
        self.together = threading.Barrier(1)
        self.scores = True
        self.reason = "stop"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    server: FakeServer

    def do_GET(self) -> None:
        cards = [{"id": name, "parent": parent} for name, parent in self.server.models.items()]
        self._send(200, {"object": "list", "data": cards})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.endswith("/load_lora_adapter"):
            if self.server.may_load:
                self.server.models[body["lora_name"]] = "base"
            return self._send(200 if self.server.may_load else 404, {})
        try:
            self.server.together.wait(timeout=30)
        except threading.BrokenBarrierError:  # the others never came, and nobody waits any more
            return None
        if self.server.failures:
            key = self.headers["Authorization"]
            status = self.server.failures.pop()
            return self._send(status, {"error": {"message": f"no,\nnot with {key}"}})
        self.server.asked.append(body)
        ids = body["prompt"]
        choice = {
            "index": 0,
            "text": f"{body['model']}:{ids[-1]}! more",
            "finish_reason": self.server.reason,
        }
        if body.get("echo") and self.server.scores:
            choice["logprobs"] = {"token_logprobs": [None, *[-token / 100 for token in ids[1:]], 0]}
        return self._send(200, {"id": "1", "object": "text_completion", "choices": [choice]})

    def _send(self, status: int, content: dict) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if self.server.location and status // 100 == 3:
            self.send_header("Location", self.server.location)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def connect(local_model, server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Engines at the server."""
    monkeypatch.setenv("OPENAI_API_KEY", "secret-key")
    model = local_model("llama")
    with ExitStack() as stack:

        def connected(checkpoints=None, **settings):
            settings = ServerSettings(**({"url": server.url, "retries": 0} | settings))
            return stack.enter_context(
                open_server(model, settings, checkpoints or {}, tmp_path / "scratch")
            )

        yield connected


def test_completions_come_back_in_order_up_to_the_stop_text(connect):
    found = in_order(connect().generate(PROMPTS, GENERATION, [None] * 3))
    assert found == [("base:7", True), ("base:8", True), ("base:9", True)]


def test_a_server_is_asked_for_a_greedy_answer(connect, server):
    in_order(connect().generate(PROMPTS[:1], GENERATION, [None]))
    (body,) = server.asked
    assert body["temperature"] == 0
    assert body["max_tokens"] == 4
    assert body["stop"] == ["!"]
    assert body["repetition_penalty"] == 1
    assert "seed" not in body


def test_a_server_is_asked_for_a_sample_with_the_seed_of_each_prompt(connect, server):
    in_order(connect().generate(PROMPTS, GENERATION, [None] * 3, Sampling(0.7, (4, 5, 6))))
    asked = {body["prompt"][-1]: (body["temperature"], body["seed"]) for body in server.asked}
    assert asked == {7: (0.7, 4), 8: (0.7, 5), 9: (0.7, 6)}


def test_an_answer_that_the_server_cut_is_not_finished(connect, server):
    server.reason = "length"
    found = connect().generate(PROMPTS[:1], GENERATION, [None])
    assert in_order(found) == [("base:7", False)]


def test_losses_are_those_of_the_answer_tokens(connect):
    rendering = Rendering(ids=(1, 2, 3, 40, 50), question=0, query=1, prompt=2)
    assert in_order(connect().token_losses([rendering], [None])) == [[0.4, 0.5]]


def test_a_server_that_does_not_score_prompts_is_refused(connect, server):
    server.scores = False
    rendering = Rendering(ids=(1, 2, 3), question=0, query=0, prompt=1)
    with pytest.raises(InputError, match="does not score prompts"):
        in_order(connect().token_losses([rendering], [None]))


def test_the_configured_name_is_the_untouched_model(connect, server):
    server.models = {"other": None, "mine": None}
    found = connect(model="mine").generate(PROMPTS[:1], GENERATION, [None])
    assert in_order(found) == [("mine:7", True)]


def test_a_name_that_the_server_does_not_offer_is_refused(connect):
    with pytest.raises(InputError, match=r"offers base, not mine: check `server\.model`"):
        connect(model="mine")


def test_an_adapter_that_is_offered_is_used(connect, server, adapter):
    folder = adapter("llama", 1)
    server.models[served_name(folder)] = "base"
    found = connect({"step-1": folder}).generate(PROMPTS[:2], GENERATION, ["step-1", None])
    assert [answer.text for answer in in_order(found)] == [f"{served_name(folder)}:7", "base:8"]


def test_an_adapter_that_is_not_offered_is_loaded(connect, server, adapter):
    server.may_load = True
    folder = adapter("llama", 1)
    connect({"step-1": folder})
    assert served_name(folder) in server.models


def test_an_adapter_that_is_refused_is_named_with_the_option(connect, adapter):
    folder = adapter("llama", 1)
    with pytest.raises(InputError) as error:
        connect({"step-1": folder})
    assert f"--lora-modules {served_name(folder)}={folder}" in str(error.value)


def test_retraining_a_run_renames_its_adapter(adapter, tmp_path: Path):
    folder = tmp_path / "sft~rank=4/seed-0/checkpoints/step-1"
    names = []
    for seed in (1, 2):
        folder.parent.mkdir(parents=True, exist_ok=True)
        adapter("llama", seed).rename(folder)
        names.append(served_name(folder))
        folder.rename(tmp_path / f"old-{seed}")
    assert names[0].startswith("sft~rank-4.seed-0.checkpoints.step-1.")
    assert names[0] != names[1]


def test_answers_under_way_at_a_failure_come_before_it(connect, server):
    server.failures = [400]
    server.together = threading.Barrier(3)
    found = []
    with pytest.raises(InputError):
        found.extend(connect(concurrency=3).generate(PROMPTS, GENERATION, [None] * 3))
    assert len(found) == 2


def test_after_a_failure_nothing_more_is_asked(connect, server):
    server.failures = [400]
    prompts = [[5, token] for token in range(100)]
    with pytest.raises(InputError):
        in_order(connect(concurrency=1).generate(prompts, GENERATION, [None] * 100))
    assert len(server.asked) < 50


def test_a_busy_server_is_asked_again(connect, server):
    server.failures = [503]
    found = connect(retries=1).generate(PROMPTS[:1], GENERATION, [None])
    assert in_order(found) == [("base:7", True)]


@pytest.mark.parametrize(
    ("status", "message"),
    [(400, "refuses a request"), (401, "check the variable OPENAI_API_KEY"), (500, "refuses")],
)
def test_a_refusal_is_one_line_without_the_key(connect, server, status, message):
    server.failures = [status]
    with pytest.raises(InputError, match=message) as error:
        in_order(connect().generate(PROMPTS[:1], GENERATION, [None]))
    assert "\n" not in str(error.value)
    assert "secret-key" not in str(error.value)


def test_a_server_that_is_not_there_is_named(connect):
    with pytest.raises(InputError, match=r"127\.0\.0\.1:9/.*is it running") as error:
        connect(url="http://127.0.0.1:9/v1")
    assert "\n" not in str(error.value)


class Stranger(ThreadingHTTPServer):
    """Another server, which should hear nothing."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), BaseHTTPRequestHandler)
        self.heard = 0

    def process_request(self, *arguments) -> None:
        self.heard += 1
        super().process_request(*arguments)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_carries_no_prompt_and_no_key_to_another_server(connect, server, status):
    engine = connect()
    with Stranger() as stranger:
        threading.Thread(target=stranger.serve_forever, daemon=True).start()
        server.failures = [status]
        server.location = f"http://me:hidden@127.0.0.1:{stranger.server_port}/v1?key=hidden"
        with pytest.raises(InputError) as error:
            in_order(engine.generate(PROMPTS[:1], GENERATION, [None]))
        stranger.shutdown()
    assert str(error.value) == (
        f"{server.url}/: the server redirects to http://127.0.0.1:{stranger.server_port}, and "
        "prompts and keys are not sent on; set `server.url` to the address that answers"
    )
    assert stranger.heard == 0


def test_a_silent_server_is_given_up_after_its_time(connect, server):
    server.together = threading.Barrier(2)  # the second never comes
    began = time.monotonic()
    with pytest.raises(InputError) as error:
        in_order(connect(timeout=0.3).generate(PROMPTS[:1], GENERATION, [None]))
    server.together.abort()
    assert time.monotonic() - began < 5
    assert str(error.value) == (
        f"{server.url}/: no whole answer within 0.3 s in one try; raise `server.timeout` or lower "
        "`server.concurrency`, and rerun: the answers that came are kept"
    )


def test_a_request_may_take_two_minutes_by_default():
    assert ServerSettings().timeout == 120


@pytest.mark.parametrize("key", ["two\nlines", "clé"])
def test_a_variable_that_holds_no_key_is_refused_without_showing_it(connect, monkeypatch, key):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(InputError, match=r"^the variable OPENAI_API_KEY holds") as error:
        connect()
    assert key not in str(error.value)


# --- a server of our own ------------------------------------------------------------------


@pytest.fixture
def vllm_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Puts a program in the place of vLLM's command."""

    def place(script: str) -> None:
        program = tmp_path / "bin/vllm"
        program.parent.mkdir()
        program.write_text(f"#!{sys.executable}\n{script}")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setattr("workflow_scripts.engines.vllm_server.find_spec", lambda name: None)

    return place


def test_a_server_of_our_own_gets_the_adapters(local_model, adapter, vllm_on_path):
    vllm_on_path("")
    command = serve_command(local_model("llama"), {"name=1": adapter("llama", 1)}, 1234)
    assert command[1] == "serve"
    assert json.loads(command[-1])["name"] == "name=1"
    assert command[command.index("--max-loras") + 1] == "2"


def test_a_server_that_does_not_start_says_why(
    local_model, vllm_on_path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    vllm_on_path("print('loading'); raise SystemExit('ValueError: no such model')")
    with (
        pytest.raises(InputError, match=r"ended before it was ready.*ValueError: no such model"),
        vllm_server(local_model("llama"), {}, tmp_path / "scratch"),
    ):
        pass
    assert "loading" in capsys.readouterr().out


def test_vllm_that_is_nowhere_is_refused_with_the_command(
    local_model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("workflow_scripts.engines.vllm_server.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="run `make setup-vllm`"):
        serve_command(local_model("llama"), {}, 1234)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_kept_command_and_its_children_end_with_the_job(tmp_path: Path, number):
    pids = tmp_path / "pids"
    kept = f"sleep 600 & echo $! $$ > {pids}; wait"
    job = (
        "import subprocess, sys, time; "
        f"subprocess.Popen([sys.executable, {process_guard.__file__!r}, 'sh', '-c', {kept!r}], "
        "stdin=subprocess.PIPE, start_new_session=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", job])
    until(lambda: pids.is_file() and pids.read_text().endswith("\n"))
    children = [psutil.Process(int(pid)) for pid in pids.read_text().split()]
    process.send_signal(number)
    process.wait()
    until(lambda: not any(alive(child) for child in children))


def alive(process: psutil.Process) -> bool:
    # a container without an init process keeps what ended as a zombie
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def until(holds) -> None:
    limit = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < limit
        time.sleep(0.05)
