"""Which GPUs a job may use: the pool of a machine, and a lease of some of its devices.

On one machine nothing else assigns devices to jobs. A leased device is a locked file, and the lock
belongs to the open file: the system gives it back when the last process that has the file open is
gone, however it ended. So a program that takes over this process keeps what was leased for it,
which is why these are plain `flock`s: filelock does not pass its locks on.

All users of a machine share the locks, and none trusts another. The files lie in a folder in which
everybody may make files and nobody delete another's; whoever comes first makes it. They are opened
for reading, never through a link, and nothing is written into them.
"""

from __future__ import annotations

import fcntl
import hashlib
import math
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import pynvml

from workflow_scripts.runtime.errors import InputError

VISIBLE = "CUDA_VISIBLE_DEVICES"
# a folder of locks instead of the following, the same for all users of the machine
FOLDER = "FEW_SHOT_DISTILLATION_LEASES"
# whatever TMPDIR a session has
LOCKS = "/tmp/few-shot-distillation-devices"
# everybody may make files, and nobody delete another's
_SHARED = 0o1777
# neither through a link, nor waiting for the other end of a pipe
_SAFELY = os.O_NOFOLLOW | os.O_NONBLOCK
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


def lease(pool: Sequence[Device], count: int, locks: Path | None = None) -> list[Device]:
    """`count` devices of the pool for this process alone, all at once; waits until they are free.

    They are taken until this process has ended, or the program that it turns into, and every child
    that inherited its open files. Waiting processes are served one after another, so that no
    stream of small ones overtakes a large one. Prints what it waits for.

    locks: folder of the locks, made if it is not there; its parent must be.
    Raises InputError when the pool holds fewer, or the locks are a link, closed to this user, or
    in a folder that is not shared by all users.
    """
    if count > len(pool):
        names = ", ".join(device.name for device in pool) or "none"
        raise InputError(
            f"the job asks for {count} GPUs, but this machine offers {len(pool)} ({names}); lower "
            "`gpu` under `resources`"
        )
    locks = locks or _locks()
    turn = _open(locks, f"turn-{_hash(sorted(device.identity for device in pool))}")
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


def check_locks() -> None:
    """Raises InputError where `lease` would, because of its folder; makes it if it is not there."""
    os.close(_open_folder(_locks()))


def _locks() -> Path:
    return Path(os.environ.get(FOLDER) or LOCKS)


def _take(pool: Sequence[Device], count: int, locks: Path) -> list[Device]:
    """Lock `count` devices, or none of them."""
    held: dict[Device, int] = {}
    for device in pool:
        name = _hash([device.identity])
        file = _open(locks, name)
        if _lock_now(file) and _is_at(file, locks / name):
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


def _is_at(file: int, path: Path) -> bool:
    """Whether the open file is still at `path`: the lock of a removed file locks nothing."""
    try:
        return os.path.samestat(os.fstat(file), path.lstat())
    except FileNotFoundError:
        return False


def _open(locks: Path, name: str) -> int:
    """Opens a file of the folder for locking, and makes both if they are not there."""
    folder = _open_folder(locks)
    try:
        # who may create files here need not be allowed to open another's with O_CREAT
        with _told(locks / name):
            file = _open_or_make(
                lambda: os.open(name, os.O_RDONLY | _SAFELY, dir_fd=folder),
                lambda: os.close(
                    os.open(name, os.O_RDONLY | os.O_CREAT | os.O_EXCL, 0o444, dir_fd=folder)
                ),
            )
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise InputError(_refusal(locks / name, "is no plain file"))
        return file
    finally:
        os.close(folder)


def _open_folder(locks: Path) -> int:
    with _told(locks):
        folder = _open_or_make(
            lambda: os.open(locks, os.O_RDONLY | os.O_DIRECTORY | _SAFELY),
            lambda: locks.mkdir(_SHARED),
        )
    mode = stat.S_IMODE(os.fstat(folder).st_mode)
    if mode & _SHARED != _SHARED:
        os.close(folder)
        raise InputError(_refusal(locks, f"has mode {mode:04o}, and needs {_SHARED:04o}"))
    return folder


def _open_or_make(opened: Callable[[], int], make: Callable[[], None]) -> int:
    """What another process makes or removes meanwhile is no error."""
    while True:
        try:
            return opened()
        except FileNotFoundError:
            # the mode is the given one from the beginning
            umask = os.umask(0)
            try:
                with suppress(FileExistsError):
                    make()
            finally:
                os.umask(umask)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        # Linux says of a link that it is none, or that there are too many
        reason = "is a symbolic link" if path.is_symlink() else f"({error.strerror})"
        raise InputError(_refusal(path, reason)) from None


def _refusal(path: Path, reason: str) -> str:
    """One line: what is wrong, who can mend it, and what to set instead."""
    with suppress(OSError):
        owner = path.lstat().st_uid
        who = "" if owner == os.geteuid() else f" as user {owner} or root"
        reason = f"{reason}; remove it{who} while no job uses a GPU"
    return (
        f"{path}: cannot be shared by the users of this machine for leases of GPUs: {reason}, or "
        f"set {FOLDER} to another folder for all of them"
    )


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
