"""Jobs on one machine get disjoint devices, whatever their sizes and however they end."""

from __future__ import annotations

import os
import random
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pynvml
import pytest

from workflow_scripts.runtime import gpu_lease
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.gpu_lease import Device, check_locks, lease, offered_devices

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


# --- other people on the machine --------------------------------------------------------------

OURS, THEIRS = 61001, 61002
DEVICE = [Device("a", "a")]


@pytest.fixture
def shared_place(tmp_path: Path) -> Iterator[Path]:
    """A folder as /tmp: everybody may make files in it, and it can be reached."""
    if os.geteuid() != 0:
        pytest.skip("only root may act as two users")
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o1777)
        yield Path(folder)


def as_user(user: int, act: Callable[[], object], umask: int = 0o022) -> str:
    """What `act` printed or raised in a process of this user."""
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        try:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
            os.umask(umask)
            answer = str(act())
        except BaseException as error:
            answer = f"{type(error).__name__}: {error}"
        os.write(writer, answer.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        answer = stream.read()
    os.waitpid(child, 0)
    return answer


def leased(locks: Path) -> str:
    """The names of what was leased.

    Raises TimeoutError where all devices are taken.
    """
    with deadline():
        return ",".join(device.name for device in lease(DEVICE, 1, locks))


@contextmanager
def deadline() -> Iterator[None]:
    def end(*_: object) -> None:
        raise TimeoutError("taken")

    signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, 1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o777])
def test_two_users_share_the_locks_whatever_umask_the_first_one_has(shared_place, umask):
    locks = shared_place / "locks"
    assert as_user(OURS, lambda: leased(locks), umask) == "a"
    assert stat.S_IMODE(locks.stat().st_mode) == 0o1777
    assert as_user(THEIRS, lambda: leased(locks), umask) == "a"


def test_what_one_user_leases_another_does_not_get(shared_place):
    lease(DEVICE, 1, shared_place / "locks")
    assert as_user(OURS, lambda: leased(shared_place / "locks")) == "TimeoutError: taken"


def test_a_lock_that_is_removed_while_it_is_taken_locks_nothing(tmp_path, monkeypatch):
    lock_now, locks = gpu_lease._lock_now, tmp_path / "locks"
    removed = []

    def remove_first(file: int) -> bool:
        for path in locks.glob("[!t]*"):
            if not removed:
                removed.append(path.unlink())
        return lock_now(file)

    monkeypatch.setattr(gpu_lease, "_lock_now", remove_first)
    lease(DEVICE, 1, locks)
    assert removed
    with pytest.raises(TimeoutError):
        leased(locks)


def test_a_folder_behind_a_link_is_refused_and_left_as_it_is(shared_place):
    private = shared_place / "private"
    private.mkdir(0o755)
    locks = shared_place / "locks"
    locks.symlink_to(private)
    assert as_user(OURS, lambda: leased(locks)).startswith(
        f"InputError: {locks}: cannot be shared by the users of this machine for leases of GPUs: "
        "is a symbolic link; remove it as user 0 or root while no job uses a GPU, or set "
        "FEW_SHOT_DISTILLATION_LEASES to another folder for all of them"
    )
    with pytest.raises(InputError, match="is a symbolic link; remove it while no job"):
        lease(DEVICE, 1, locks)
    assert stat.S_IMODE(private.stat().st_mode) == 0o755
    assert not list(private.iterdir())


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o777])
def test_a_folder_that_is_not_shared_is_refused_and_left_as_it_is(tmp_path, mode):
    locks = tmp_path / "locks"
    locks.mkdir()
    locks.chmod(mode)
    with pytest.raises(InputError, match=f"has mode {mode:04o}, and needs 1777; remove it"):
        lease(DEVICE, 1, locks)
    assert stat.S_IMODE(locks.stat().st_mode) == mode
    assert not list(locks.iterdir())


def test_the_private_folder_of_another_user_is_refused(shared_place):
    (shared_place / "locks").mkdir(0o700)
    told = as_user(OURS, lambda: leased(shared_place / "locks"))
    assert "(Permission denied); remove it as user 0 or root" in told
    assert "\n" not in told


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "private"])
def test_what_another_user_puts_in_the_place_of_a_lock_is_refused(shared_place, kind):
    locks = shared_place / "locks"
    as_user(THEIRS, lambda: leased(locks))
    (lock,) = locks.glob("[!t]*")
    lock.unlink()
    target = shared_place / "target"
    if kind == "link":
        lock.symlink_to(target)
    elif kind == "pipe":
        os.mkfifo(lock, 0o644)
    elif kind == "folder":
        lock.mkdir()
    else:
        lock.touch(0o600)
    reason = {"link": "is a symbolic link", "private": "(Permission denied)"}
    told = as_user(OURS, lambda: leased(locks))
    assert told.startswith(f"InputError: {lock}: cannot be shared")
    assert reason.get(kind, "is no plain file") in told
    assert not target.exists()


def test_the_folder_of_locks_can_be_set(tmp_path, monkeypatch):
    monkeypatch.setenv("FEW_SHOT_DISTILLATION_LEASES", str(tmp_path / "mine"))
    lease(DEVICE, 1)
    assert len(list((tmp_path / "mine").iterdir())) == 2


def test_a_folder_that_is_not_shared_is_known_before_the_first_job(tmp_path, monkeypatch):
    monkeypatch.setenv("FEW_SHOT_DISTILLATION_LEASES", str(tmp_path / "mine"))
    check_locks()
    (tmp_path / "mine").chmod(0o755)
    with pytest.raises(InputError, match="has mode 0755, and needs 1777"):
        check_locks()


def test_a_user_without_a_home_leases(shared_place, monkeypatch):
    monkeypatch.delenv("HOME", raising=False)
    assert as_user(OURS, lambda: leased(shared_place / "locks")) == "a"
