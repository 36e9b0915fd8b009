"""Which GPUs a job may use: the pool of a machine, and a lease of some of its devices.

On one machine nothing else assigns devices to jobs. A leased device is a locked file, and the lock
belongs to the open file: the system gives it back when the last process that has the file open is
gone, however it ended. So a program that takes over this process keeps what was leased for it,
which is why these are plain `flock`s: filelock does not pass its locks on.
"""

from __future__ import annotations

import fcntl
import hashlib
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import pynvml

from workflow_scripts.runtime.errors import InputError

VISIBLE = "CUDA_VISIBLE_DEVICES"
# of the machine and all its users, whatever TMPDIR a session has
LOCKS = Path("/tmp/few-shot-distillation-devices")
POLL_SECONDS = 0.2
REMINDER_SECONDS = 300


@dataclass(frozen=True)
class Device:
    """A GPU, or an instance of one (MIG).

    name: as CUDA_VISIBLE_DEVICES takes it. identity: the same for every name of one device.
    """

    name: str
    identity: str


def offered_devices(environment: Mapping[str, str]) -> list[Device]:
    """The pool: what CUDA_VISIBLE_DEVICES lists, as it is written there; else what NVML finds.

    A device that does not answer NVML is left out; a line says so.
    """
    found = _found_devices()
    listed = environment.get(VISIBLE)
    if listed is None:
        return found
    # CUDA ignores an entry that is no device, and all that follow it
    names = takewhile(lambda name: name not in ("", "-1", "NoDevFiles"), listed.split(","))
    return [Device(name, _identity(name, found)) for name in dict.fromkeys(names)]


def lease(pool: Sequence[Device], count: int, locks: Path = LOCKS) -> list[Device]:
    """`count` devices of the pool for this process alone, all at once; waits until they are free.

    They are taken until this process has ended, or the program that it turns into, and every child
    that inherited its open files. Waiting processes are served one after another, so that no
    stream of small ones overtakes a large one. Prints what it waits for.

    Raises InputError when the pool holds fewer.
    """
    if count > len(pool):
        names = ", ".join(device.name for device in pool) or "none"
        raise InputError(
            f"the job asks for {count} GPUs, but this machine offers {len(pool)} ({names}); lower "
            "`gpu` under `resources`"
        )
    _make_shared(locks)
    turn = _open(locks / f"turn-{_hash(sorted(device.identity for device in pool))}")
    if not _lock_now(turn):
        print(f"waiting for {count} GPUs: other jobs wait before this one", flush=True)
        fcntl.flock(turn, fcntl.LOCK_EX)
    told = -math.inf
    while not (taken := _take(pool, count, locks)):
        if time.monotonic() - told >= REMINDER_SECONDS:
            print(f"waiting for {count} of {len(pool)} GPUs to be free", flush=True)
            told = time.monotonic()
        time.sleep(POLL_SECONDS)
    os.close(turn)
    return taken


def _take(pool: Sequence[Device], count: int, locks: Path) -> list[Device]:
    """Lock `count` devices, or none of them."""
    held: dict[Device, int] = {}
    for device in pool:
        file = _open(locks / _hash([device.identity]))
        if _lock_now(file):
            held[device] = file
        else:
            os.close(file)
        if len(held) == count:
            for lock in held.values():
                os.set_inheritable(lock, True)
            return list(held)
    for lock in held.values():
        os.close(lock)
    return []


def _lock_now(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _make_shared(folder: Path) -> None:
    """A folder in which every user of the machine may make files."""
    folder.mkdir(parents=True, exist_ok=True)
    if folder.owner() == Path.home().owner():
        folder.chmod(0o1777)


def _open(path: Path) -> int:
    """Opens a file for locking; another user's as well, which some systems refuse to create."""
    try:
        return os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return os.open(path, os.O_RDONLY | os.O_CREAT, 0o644)


def _hash(names: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]


# --- what NVML knows --------------------------------------------------------------------------


def _found_devices() -> list[Device]:
    """GPUs by index, in the order of the bus; in place of a GPU that is divided, its instances."""
    devices = []
    with _nvml() as there:
        for index in range(pynvml.nvmlDeviceGetCount() if there else 0):
            try:
                devices += _instances(index) or [Device(str(index), _uuid(index))]
            except pynvml.NVMLError as error:
                print(f"GPU {index} does not answer ({error}); left out", flush=True)
    return devices


def _identity(name: str, found: Sequence[Device]) -> str:
    """The UUID of a GPU that is named by index or by a part of its UUID, where NVML knows it."""
    known = (
        device.identity
        for device in found
        if device.name == name
        or (name[:4] in ("GPU-", "MIG-") and device.identity.startswith(name))
    )
    return next(known, name)


def _instances(index: int) -> list[Device]:
    gpu = pynvml.nvmlDeviceGetHandleByIndex(index)
    try:
        divided, _ = pynvml.nvmlDeviceGetMigMode(gpu)
    except pynvml.NVMLError_NotSupported:
        return []
    places = range(pynvml.nvmlDeviceGetMaxMigDeviceCount(gpu)) if divided else ()
    devices = []
    for place in places:
        try:
            instance = pynvml.nvmlDeviceGetMigDeviceHandleByIndex(gpu, place)
        except pynvml.NVMLError_NotFound:
            continue
        uuid = pynvml.nvmlDeviceGetUUID(instance)
        devices.append(Device(uuid, uuid))
    return devices


def _uuid(index: int) -> str:
    return str(pynvml.nvmlDeviceGetUUID(pynvml.nvmlDeviceGetHandleByIndex(index)))


@contextmanager
def _nvml() -> Iterator[bool]:
    """Whether NVML is there, for the time of the block."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield False
        return
    try:
        yield True
    finally:
        pynvml.nvmlShutdown()
