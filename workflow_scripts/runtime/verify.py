"""Finds damaged files among results and models.

    python -m workflow_scripts.runtime.verify --folders results/demo resources/models

A job that reads a damaged file refuses it. This looks at all of them at once, after a failure of
a disk for example. With `--delete`, the next Snakemake makes them again.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from workflow_scripts.runtime.checksums import damage_of, sha256_of
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import read_json, remove_directory
from workflow_scripts.runtime.home import without_home


def main(folders: list[Path], delete: bool = False) -> None:
    """Name every file that is not as it was written.

    folders: of results or models, with everything below them.
    delete: remove what must be made again because of them.
    Raises InputError with their number if there are any.
    """
    count = 0
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder")
        for damaged, made_by in damaged_files(folder):
            count += 1
            print(without_home(str(damaged)), flush=True)
            if delete:
                _delete(made_by)
    if count and not delete:
        raise InputError(
            f"{count} damaged files; repeat this with --delete, and the next Snakemake makes them "
            "again"
        )
    print(f"{count} damaged files{' deleted' if count else ''}", flush=True)


def damaged_files(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Each damaged file or folder below `folder`, with what must be deleted to make it again.

    Those are files with a checksum beside them, and those whose checksum is in a manifest.
    """
    for written in sorted(folder.rglob(".*.sha256")):
        path = written.with_name(written.name.removeprefix(".").removesuffix(".sha256"))
        if not path.exists():
            continue
        if damage_of(path):
            yield path, path
        elif path.name == "manifest.json":
            for name, checksum in read_json(path).get("files", {}).items():
                file = path.parent / name
                if not file.is_file() or sha256_of(file) != checksum:
                    yield file, path


def _delete(path: Path) -> None:
    if path.is_dir():
        remove_directory(path)
    else:
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    run_program(main)
