from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.vllm.conftest import CHECKPOINTS, GENERATION, split
from workflow_scripts.config.models import ServerSettings
from workflow_scripts.config.slices import EngineSettings
from workflow_scripts.engines.protocol import Sampling, in_order
from workflow_scripts.engines.select import open_engine
from workflow_scripts.engines.server_engine import ServerEngine, open_server, served_name
from workflow_scripts.engines.vllm_server import vllm_server
from workflow_scripts.runtime.errors import InputError

FEW = 48
SERVED = [name for name in CHECKPOINTS if name is not None]


@pytest.fixture(scope="module")
def folders(adapters) -> dict[str, Path]:
    return {name: adapters[name] for name in SERVED}


@pytest.fixture(scope="module")
def url(model, folders, tmp_path_factory):
    """A running server, as someone else would start it: it loads no further adapters."""
    offered = {served_name(folder): folder for folder in folders.values()}
    with vllm_server(model, offered, tmp_path_factory.mktemp("server")) as url:
        yield url


@pytest.fixture
def open_at(model, url, tmp_path):
    """Engines at the running server."""

    @contextmanager
    def opened(checkpoints):
        with open_server(model, ServerSettings(url=url), checkpoints, tmp_path) as engine:
            yield engine

    return opened


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """The checkpoints of all requests that were sent."""
    names: list[str | None] = []
    complete = ServerEngine._complete

    def counted(self, name, *arguments, **options):
        names.append(name)
        return complete(self, name, *arguments, **options)

    monkeypatch.setattr(ServerEngine, "_complete", counted)
    return names


def alive(process: psutil.Process) -> bool:
    # a container without an init process keeps what ended as a zombie
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_a_server_answers_as_the_engine_in_this_process(open_at, folders, requests, answers):
    prompts, _, names = split(requests[:FEW])
    with open_at(folders) as engine:
        found = in_order(engine.generate(prompts, GENERATION, names))
    equal = sum(a == b for a, b in zip(found, answers[0][:FEW], strict=True))
    print(f"{equal} of {FEW} answers are identical")
    assert equal >= 0.98 * FEW


def test_a_server_samples_the_same_with_equal_seeds(open_at, folders, requests):
    prompts, _, names = split(requests[:12])
    drawn = Sampling(1.0, tuple(range(12)))
    with open_at(folders) as engine:
        whole = in_order(engine.generate(prompts, GENERATION, names, drawn))
        few = engine.generate(prompts[4:7], GENERATION, names[4:7], drawn.of(range(4, 7)))
        assert in_order(few) == whole[4:7]
        other = Sampling(1.0, tuple(range(100, 112)))
        assert in_order(engine.generate(prompts, GENERATION, names, other)) != whole


def test_a_server_scores_as_the_engine_in_this_process(open_at, folders, requests, answers):
    _, renderings, names = split(requests[:FEW])
    with open_at(folders) as engine:
        found = in_order(engine.token_losses(renderings, names))
    for nats, right in zip(found, answers[1][:FEW], strict=True):
        assert nats == pytest.approx(right, abs=1e-3)


def test_an_interrupted_job_asks_only_for_what_is_missing(
    model, url, folders, requests, asked, tmp_path
):
    settings = EngineSettings(kind="server", batch_size=1, server=ServerSettings(url=url))
    prompts, renderings, names = split(requests[:12])
    with open_engine(model, settings, folders, tmp_path) as engine:
        before = in_order(engine.generate(prompts[:6], GENERATION, names[:6]))
        losses = in_order(engine.token_losses(renderings[:3], names[:3]))
    asked.clear()
    with open_engine(model, settings, folders, tmp_path) as engine:
        assert in_order(engine.generate(prompts, GENERATION, names))[:6] == before
        assert in_order(engine.token_losses(renderings[:3], names[:3])) == losses
    assert len(asked) == 6


def test_an_adapter_that_a_server_lacks_is_named_with_the_option(open_at, adapters):
    folder = adapters["step-2"]
    with (
        pytest.raises(InputError, match="refuses to load it") as error,
        open_at({"step-2": folder}),
    ):
        pass
    assert f"--lora-modules {served_name(folder)}={folder}" in str(error.value)


def test_a_request_that_the_server_refuses_is_one_line(open_at, folders):
    with open_at(folders) as engine, pytest.raises(InputError, match="refuses a request") as error:
        in_order(engine.generate([[10**7]], GENERATION, [None]))
    assert "\n" not in str(error.value)


def test_a_server_of_our_own_serves_loads_and_is_gone(
    model, adapters, requests, answers, tmp_path, monkeypatch
):
    monkeypatch.setenv("VLLM_ALLOW_RUNTIME_LORA_UPDATING", "True")
    settings = EngineSettings(kind="server", batch_size=1, server=ServerSettings())
    folders = {name: adapters[name] for name in SERVED[:1]}
    index = next(i for i, (_, name) in enumerate(requests) if name == SERVED[1])
    prompt = requests[index][0].prompt_ids
    others = set(psutil.Process().children(recursive=True))
    with open_engine(model, settings, folders, tmp_path / "scratch") as engine:
        ours = set(psutil.Process().children(recursive=True)) - others
        assert any("--served-model-name" in process.cmdline() for process in ours)
        url = str(engine._engine._client.base_url)
        more = {SERVED[1]: adapters[SERVED[1]]}
        with open_server(model, ServerSettings(url=url), more, tmp_path / "other") as other:
            found = in_order(other.generate([prompt], GENERATION, [SERVED[1]]))
    assert found == [answers[0][index]]
    # what is killed takes the system a moment to remove
    left = psutil.wait_procs([process for process in ours if alive(process)], timeout=5)[1]
    assert [process for process in left if alive(process)] == []
