"""Errors that a person can act on, and how an entry point reports them."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from workflow_scripts.runtime.home import without_home

# what keeps a file from being written, and what to do
_STORAGE = {
    errno.ENOSPC: "the disk is full; free space and rerun, what is finished is kept",
    errno.EDQUOT: "the disk quota is used up; free space and rerun, what is finished is kept",
    errno.EFBIG: "files may not be this large here; raise the limit (`ulimit -f`) and rerun, what "
    "is finished is kept",
    errno.EROFS: "the file system is read-only; make it writable and rerun, what is finished is "
    "kept",
    errno.EACCES: "permission denied; allow this user to read and write here and rerun",
}
# torch.save says only that less was written than it meant to
_TORCH_WRITER = ("PytorchStreamWriter", "unexpected pos", "iostream error")
_NOT_WRITTEN = "could not be written; free space if the disk is full, and rerun"


class InputError(ValueError):
    """Bad input. The message is one line: which key, file or item, and what to do."""


class Diverged(InputError):
    """A training whose loss is not finite any more."""


class Stopped(Exception):
    """Stopped on request, with a state saved to continue from. The message is one line."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a full disk, a read-only folder and the like into an InputError that names `path`."""
    try:
        yield
    except Exception as error:
        if (problem := _storage_problem(error)) is None:
            raise
        raise InputError(f"{path}: {problem}") from error


def run_entry_point(main: Callable[[], None]) -> None:
    """Run `main`; an error that a person can act on becomes one line on standard error.

    The exit status is 2 for an InputError and for a file that cannot be written, and 143 (as after
    SIGTERM) for Stopped.
    """
    try:
        main()
    except InputError as error:
        _tell(f"error: {error}", 2)
        sys.exit(2)
    except Stopped as stopped:
        # only the main process of a job reports
        if os.environ.get("RANK", "0") == "0":
            _tell(str(stopped), 143)
        sys.exit(143)
    except Exception as error:
        if (problem := _storage_problem(error)) is None:
            raise
        _tell(f"error: {getattr(error, 'filename', None) or Path.cwd()}: {problem}", 2)
        sys.exit(2)


def _storage_problem(error: Exception) -> str | None:
    """Why a file could not be written, and what to do; None when it is another error."""
    if isinstance(error, OSError) and error.errno is not None:
        return _STORAGE.get(error.errno)
    text = str(error)
    # safetensors and shutil.copytree quote the system's message
    if isinstance(error, OSError) or "(os error" in text:
        return next((_STORAGE[code] for code in _STORAGE if os.strerror(code) in text), None)
    return _NOT_WRITTEN if any(words in text for words in _TORCH_WRITER) else None


def _tell(line: str, status: int) -> None:
    try:
        print(without_home(line), file=sys.stderr, flush=True)
    except OSError:
        # the log is on the full disk, and Python would exit with another status
        os._exit(status)
