"""A checksum beside what a job wrote, compared by every job that reads it.

The checksum of `table.csv` is the file `.table.csv.sha256`, that of a folder `step-20` lists its
files in `.step-20.sha256`. Both are what `sha256sum` writes, so `sha256sum --check` reads them.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from workflow_scripts.runtime.errors import InputError


def sha256_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def checksum_file(path: Path) -> Path:
    """Where the checksum of a file or folder lies."""
    return path.with_name(f".{path.name}.sha256")


def checksums(path: Path, name: str | None = None) -> str:
    """A line for the file, or for each file in the folder, as `sha256sum` writes them.

    name: to write instead of the path's own.
    """
    name = name or path.name
    if not path.is_dir():
        return f"{sha256_of(path)}  {name}\n"
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return "".join(f"{sha256_of(file)}  {name}/{file.relative_to(path)}\n" for file in files)


def damage_of(path: Path) -> str | None:
    """What is wrong with a file or folder that a job wrote, in words; None if nothing is."""
    try:
        written = checksum_file(path).read_text(errors="replace")
    except FileNotFoundError:
        return f"has no checksum beside it ({checksum_file(path).name})"
    return None if written == checksums(path) else "not as it was written, its checksum differs"


def checked(path: Path) -> Path:
    """The path, of a file or folder that a job wrote.

    Raises InputError when it is missing or is not as it was written.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file")
    if damage := damage_of(path):
        raise InputError(f"{path}: {damage}; delete it and rerun, which makes it again")
    return path
