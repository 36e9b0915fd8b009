"""Files that appear whole or not at all, and their checksums."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from workflow_scripts.runtime.errors import InputError, writing


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends without error.

    Raises InputError when the disk is full or the folder cannot be written.
    """
    partial = _partial(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield partial
            _open_as_new(partial)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """An empty directory beside `path` that takes its place when the block ends without error.

    Raises InputError when the disk is full or the folder cannot be written.
    """
    partial = _partial(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            yield partial
            for file in partial.rglob("*"):
                if file.is_file() and not file.is_symlink():
                    _open_as_new(file)
            remove_directory(path)
            partial.replace(path)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def remove_directory(path: Path) -> None:
    """Remove a directory if it exists; no other process sees it with only some of its files."""
    removed = _partial(path.with_name(f"{path.name}.removed"))
    shutil.rmtree(removed, ignore_errors=True)
    if path.exists():
        shutil.rmtree(path.rename(removed))


def remove_partials(folder: Path) -> None:
    """Remove what killed processes left half written in `folder`; no other may be writing there."""
    for partial in folder.glob(".*.partial-*"):
        if partial.is_dir():
            shutil.rmtree(partial)
        else:
            partial.unlink()


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.partial-{os.getpid()}")


def _open_as_new(file: Path) -> None:
    """Give the file the mode of a new one: safetensors makes files that only their owner reads."""
    umask = os.umask(0)
    os.umask(umask)
    file.chmod(0o666 & ~umask)


def write_json(path: Path, content: Any) -> None:
    with atomic_file(path) as partial:
        partial.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")


def read_json(path: Path) -> Any:
    """Raises InputError when the file is missing or is not JSON."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: not valid JSON ({error}); delete it and rerun") from None


def sha256_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def expanded(path: str) -> Path:
    """The path with the user's home folder for a leading `~`.

    Raises InputError where there is none.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise InputError(
            f"{path}: `~` is not known, as HOME is not set and this user has no entry in the "
            "password file; set HOME, or write the path out"
        ) from None
