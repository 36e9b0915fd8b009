"""Files that appear whole or not at all."""

from __future__ import annotations

import glob
import json
import os
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from workflow_scripts.runtime.checksums import checksum_file, checksums
from workflow_scripts.runtime.errors import InputError, writing


@contextmanager
def atomic_file(path: Path, *, checksum: bool = True) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends without error.

    checksum: write it beside the file, for `checksums.checked`.
    Raises InputError when the disk is full or the folder cannot be written.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = _partial(path)
        try:
            yield partial
            _finish(partial)
            if checksum:
                _write_checksums(path, partial)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def atomic_directory(path: Path, *, checksum: bool = True) -> Iterator[Path]:
    """An empty directory beside `path` that takes its place when the block ends without error.

    checksum: write those of its files beside it, for `checksums.checked`.
    Raises InputError when the disk is full or the folder cannot be written.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = _partial(path)
        partial.mkdir()
        try:
            yield partial
            for file in partial.rglob("*"):
                if file.is_file() and not file.is_symlink():
                    _finish(file)
            remove_directory(path)
            if checksum:
                _write_checksums(path, partial)
            partial.replace(path)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def remove_directory(path: Path) -> None:
    """Remove a directory and its checksums if they exist; no other process sees it in part."""
    removed = _partial(path.with_name(f"{path.name}.removed"))
    if path.exists():
        shutil.rmtree(path.rename(removed))
    checksum_file(path).unlink(missing_ok=True)


def remove_partials(folder: Path) -> None:
    """Remove what killed processes left half written in `folder`; no other may be writing there."""
    for partial in folder.glob(".*.partial-*"):
        _remove(partial)


def write_checksums(path: Path) -> None:
    """Write the checksum of a file or folder that is not written by this module beside it.

    Its files reach the disk first, so what has a checksum is whole, even after a power failure.
    """
    for file in [path, *path.rglob("*")]:
        if file.is_file():
            _to_disk(file)
    _write_checksums(path, path)


def _write_checksums(path: Path, written: Path) -> None:
    with atomic_file(checksum_file(path), checksum=False) as partial:
        partial.write_text(checksums(written, path.name))


def _partial(path: Path) -> Path:
    """A name that no other process uses; what dead ones of this machine left is removed."""
    prefix = f".{path.name}.partial-{platform.node()}-"
    for left in path.parent.glob(f"{glob.escape(prefix)}*"):
        owner = left.name.removeprefix(prefix)
        if owner == str(os.getpid()) or not (owner.isdigit() and psutil.pid_exists(int(owner))):
            _remove(left)
    return path.with_name(f"{prefix}{os.getpid()}")


def _remove(partial: Path) -> None:
    if partial.is_dir():
        shutil.rmtree(partial, ignore_errors=True)
    else:
        partial.unlink(missing_ok=True)


def _finish(file: Path) -> None:
    _open_as_new(file)
    _to_disk(file)


def _to_disk(file: Path) -> None:
    with file.open("rb") as stream:
        os.fsync(stream)


def _open_as_new(file: Path) -> None:
    """Give the file the mode of a new one: safetensors makes files that only their owner reads."""
    umask = os.umask(0)
    os.umask(umask)
    file.chmod(0o666 & ~umask)


def write_json(path: Path, content: Any, *, checksum: bool = True) -> None:
    """checksum: as of `atomic_file`."""
    with atomic_file(path, checksum=checksum) as partial:
        partial.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")


def read_json(path: Path) -> Any:
    """Raises InputError when the file is missing or is not JSON."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: not valid JSON ({error}); delete it and rerun") from None


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
