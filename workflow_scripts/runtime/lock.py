"""One process at a time makes an output."""

from __future__ import annotations

import atexit
import os
from pathlib import Path

from filelock import FileLock, Timeout

from workflow_scripts.runtime.errors import InputError, writing
from workflow_scripts.runtime.home import without_home

# a job whose Snakemake was killed saves its state before it ends
PATIENCE_SECONDS = 60.0


def hold(output: Path, patience: float = PATIENCE_SECONDS) -> None:
    """Keep other processes from making `output` for as long as this process lives.

    The system releases the lock however this process ends. It can fail to exclude processes on
    other machines where the file system knows no locks across them.

    patience: seconds to wait for another process to end.
    Raises InputError naming `output` when another process is still making it.
    """
    # one object a file, so that this process may hold it twice
    lock = FileLock(output.with_name(f".{output.name}.lock"), mode=0o666, is_singleton=True)
    with writing(output):
        output.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            print(without_home(f"waiting for another process that makes {output}"), flush=True)
            _acquire(lock, output, patience)
    atexit.register(_release, lock, os.getpid())


def _acquire(lock: FileLock, output: Path, patience: float) -> None:
    try:
        lock.acquire(timeout=patience)
    except Timeout:
        raise InputError(
            f"{output}: another process is making it, left by a Snakemake that was killed; wait "
            "until it ends, or end it, and rerun"
        ) from None


def _release(lock: FileLock, owner: int) -> None:
    # not in a forked child. The file goes while the lock is held: who waits for it looks again
    if os.getpid() == owner:
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release(force=True)
