"""Whether the files of a fetched model are still those that its manifest describes."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from workflow_scripts.runtime.checksums import sha256_of
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import write_json

# larger files are read only where their size or time differs from when they were last read
_LARGE = 64 * 2**20
_SEEN = ".seen.json"


def refuse_changed(folder: Path, checksums: Mapping[str, str]) -> None:
    """Compares the files of a model, which may be links, with their checksums.

    Reading tens of gigabytes for each job would cost more than the job. So a large file counts as
    unchanged while it has the size and the time that it had when it was last read.

    checksums: file name → SHA-256.
    Raises InputError naming the files that are missing or differ.
    """
    gone = [name for name in checksums if not (folder / name).is_file()]
    if gone or not checksums:
        _refuse(folder, gone or ["every file"], "missing")
    seen = _seen(folder)
    now = {name: _size_and_time(folder / name) for name in checksums}
    unread = [name for name in checksums if now[name][0] < _LARGE or now[name] != seen.get(name)]
    changed = [name for name in unread if sha256_of(folder / name) != checksums[name]]
    if changed:
        _refuse(folder, changed, "changed since it was fetched")
    if now != seen:
        remember(folder, list(checksums))


def remember(folder: Path, names: Sequence[str]) -> None:
    """Notes size and time of files whose checksums have just been read."""
    with contextlib.suppress(InputError):  # a model may be shared, and its folder read-only
        content = {name: _size_and_time(folder / name) for name in names}
        write_json(folder / _SEEN, content, checksum=False)


def _refuse(folder: Path, names: Sequence[str], problem: str) -> None:
    raise InputError(
        f"{folder}: {', '.join(names)} is {problem}; delete the folder and rerun to fetch the "
        "model again"
    )


def _seen(folder: Path) -> dict[str, list[int]]:
    with contextlib.suppress(OSError, ValueError):
        content = json.loads((folder / _SEEN).read_text())
        if isinstance(content, dict):
            return content
    return {}


def _size_and_time(file: Path) -> list[int]:
    stat = file.stat()
    return [stat.st_size, stat.st_mtime_ns]
