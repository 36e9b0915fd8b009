"""Jobs on one machine get disjoint devices, whatever their sizes and however they end."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pynvml
import pytest

from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.gpu_lease import Device, lease, offered_devices

ROOT = Path(__file__).parents[3]
POOL = [f"fake{index}" for index in range(8)]


def launch(gpus: int, seconds: float, pool: list[str], place: str) -> subprocess.Popen[str]:
    """A job of `gpus` devices on a machine with this pool; `place` is the machine's name."""
    program = ["tests.device_user", "--place", place, "--seconds", str(seconds)]
    return subprocess.Popen(
        [sys.executable, "-m", "workflow_scripts.runtime.launch", "--gpu", str(gpus), *program],
        cwd=ROOT,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ",".join(pool)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def place(tmp_path: Path) -> str:
    """A machine of its own: no other test's devices have these names."""
    return f"{os.getpid()}-{tmp_path.name}"


@pytest.fixture
def pool(place: str) -> list[str]:
    return [f"{place}-{name}" for name in POOL]


def wait_until_used(job: subprocess.Popen[str]) -> list[str]:
    """The devices of a job, once its program runs."""
    assert job.stdout is not None
    for line in job.stdout:
        if line.startswith("using"):
            return line.split()[1].split(",")
    raise AssertionError(job.stderr.read() if job.stderr else "")


def test_many_jobs_of_all_sizes_never_share_a_device_and_all_are_served(pool, place):
    """200 jobs, every fourth of them killed at a random moment: while it waits, or works."""
    draw = random.Random(0)
    plans = [
        (
            draw.choice([1, 1, 1, 2, 2, 4, 8]),
            draw.uniform(0, 0.1),
            draw.uniform(0, 1.5) if draw.random() < 0.25 else None,
            draw.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT]),
        )
        for _ in range(200)
    ]

    def run(plan: tuple[int, float, float | None, signal.Signals]) -> int:
        gpus, seconds, killed_after, number = plan
        job = launch(gpus, seconds, pool, place)
        if killed_after is not None:
            time.sleep(killed_after)
            job.send_signal(number)
        _, errors = job.communicate(timeout=240)
        assert "in use" not in errors
        return job.returncode

    with ThreadPoolExecutor(12) as jobs:
        statuses = list(jobs.map(run, plans))
    left_alone = [status for status, plan in zip(statuses, plans, strict=True) if plan[2] is None]
    assert set(left_alone) == {0}
    assert any(status < 0 for status in statuses)
    # nothing leaked: all devices are free at once
    everything = launch(len(pool), 0, pool, place)
    everything.communicate(timeout=30)
    assert everything.returncode == 0


def test_no_stream_of_small_jobs_overtakes_a_large_one(pool, place):
    streams, room = 12, pool[:4]
    ended: list[float] = []
    served = threading.Event()

    def stream() -> None:
        while not served.is_set():
            assert launch(1, 0.5, room, place).wait(60) == 0
            ended.append(time.monotonic())

    with ThreadPoolExecutor(streams) as jobs:
        running = [jobs.submit(stream) for _ in range(streams)]
        time.sleep(1)
        asked = time.monotonic()
        try:
            assert launch(len(room), 0, room, place).wait(60) == 0
        finally:
            served.set()
        waited_for = [moment for moment in ended if moment > asked]
        for job in running:
            job.result()
    # those that worked or waited when it came, and a few that were being started
    assert len(waited_for) <= 2 * streams


def test_jobs_run_side_by_side_where_there_is_room(pool, place):
    first, second = (launch(2, 30, pool[:4], place) for _ in range(2))
    try:
        assert sorted(wait_until_used(first) + wait_until_used(second)) == pool[:4]
    finally:
        first.kill()
        second.kill()


def test_a_device_is_taken_while_a_child_of_a_killed_job_still_uses_it(pool, tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(
        "import subprocess, time\n"
        "subprocess.Popen(['sleep', '2'], close_fds=False)\n"
        "print('started', flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-m", "workflow_scripts.runtime.launch", "--gpu", "1", "parent"],
        cwd=ROOT,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": pool[0], "PYTHONPATH": f"{ROOT}:{tmp_path}"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    while "started" not in parent.stdout.readline():
        pass
    started = time.monotonic()
    parent.kill()
    parent.wait()
    next_one = launch(1, 0, pool[:1], pool[0])
    output, _ = next_one.communicate(timeout=30)
    assert time.monotonic() - started > 1.5
    assert "waiting for 1 of 1 GPUs to be free" in output


def test_more_devices_than_the_machine_has_are_refused():
    with pytest.raises(InputError, match=r"asks for 3 GPUs, but this machine offers 2 \(a, b\)"):
        lease([Device("a", "a"), Device("b", "b")], 3)


# --- the pool ---------------------------------------------------------------------------------


class FakeNVML:
    """A machine of three GPUs: whole, divided into two instances, and one that is lost."""

    UUIDS = ("GPU-11111111-aaaa", "GPU-22222222-bbbb", "GPU-33333333-cccc")
    INSTANCES = ("MIG-77777777-dddd", "MIG-88888888-eeee")

    nvmlInit = nvmlShutdown = staticmethod(lambda: None)
    nvmlDeviceGetCount = staticmethod(lambda: 3)
    nvmlDeviceGetMaxMigDeviceCount = staticmethod(lambda gpu: 7)

    @staticmethod
    def nvmlDeviceGetHandleByIndex(index: int) -> int:
        if index == 2:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
        return index

    @staticmethod
    def nvmlDeviceGetMigMode(gpu: int) -> tuple[int, int]:
        if gpu == 0:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return 1, 1

    @classmethod
    def nvmlDeviceGetMigDeviceHandleByIndex(cls, gpu: int, place: int) -> str:
        if place >= len(cls.INSTANCES):
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return cls.INSTANCES[place]

    @classmethod
    def nvmlDeviceGetUUID(cls, handle: int | str) -> str:
        return cls.UUIDS[handle] if isinstance(handle, int) else handle


@pytest.fixture
def nvml(monkeypatch):
    for name in vars(FakeNVML):
        if name.startswith("nvml"):
            monkeypatch.setattr(pynvml, name, getattr(FakeNVML, name))
    return FakeNVML


def test_without_a_driver_there_are_no_devices():
    assert offered_devices({}) == []


def test_what_cuda_visible_devices_lists_is_the_pool(nvml):
    assert [device.name for device in offered_devices({"CUDA_VISIBLE_DEVICES": "1,0"})] == [
        "1",
        "0",
    ]


@pytest.mark.parametrize("none", ["", "-1", "NoDevFiles", "-1,0"])
def test_a_list_that_hides_every_device_is_an_empty_pool(nvml, none):
    assert offered_devices({"CUDA_VISIBLE_DEVICES": none}) == []


def test_nvml_offers_whole_devices_by_index_and_instances_of_divided_ones(nvml):
    assert offered_devices({}) == [
        Device("0", nvml.UUIDS[0]),
        *(Device(instance, instance) for instance in nvml.INSTANCES),
    ]


def test_a_device_that_does_not_answer_is_left_out_and_reported(nvml, capsys):
    offered_devices({})
    assert "GPU 2 does not answer (GPU is lost); left out" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["0", "GPU-11111111-aaaa", "GPU-1111"])
def test_every_name_of_a_device_has_one_identity(nvml, name):
    assert offered_devices({"CUDA_VISIBLE_DEVICES": name}) == [Device(name, nvml.UUIDS[0])]


def test_instances_keep_their_names(nvml):
    listed = ",".join(nvml.INSTANCES)
    assert [d.name for d in offered_devices({"CUDA_VISIBLE_DEVICES": listed})] == list(
        nvml.INSTANCES
    )


def test_locks_are_open_to_every_user(tmp_path):
    folder = tmp_path / "locks"
    lease([Device("a", "a")], 1, folder)
    assert folder.stat().st_mode & 0o1777 == 0o1777
