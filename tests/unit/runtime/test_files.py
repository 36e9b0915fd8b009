"""Files and folders appear whole or not at all."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from tests.disks import file_size_limit, small_disk
from workflow_scripts.runtime.checksums import sha256_of
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import (
    atomic_directory,
    atomic_file,
    read_json,
    remove_directory,
    remove_partials,
    write_json,
)

NUMBERS = torch.arange(100_000)


def copy_a_folder(path: Path) -> None:
    source = path.parents[2] / "source"
    source.mkdir()
    (source / "numbers").write_bytes(bytes(200_000))
    shutil.copytree(source, path)


WRITERS: dict[str, Callable[[Path], object]] = {
    "text": lambda path: path.write_text("x" * 200_000),
    "csv": lambda path: pd.DataFrame({"n": NUMBERS}).to_csv(path),
    "parquet": lambda path: pd.DataFrame({"n": NUMBERS}).to_parquet(path),
    "safetensors": lambda path: save_file({"n": NUMBERS}, path),
    "torch": lambda path: torch.save(NUMBERS, path),
    "copytree": copy_a_folder,
}


def test_a_file_appears_when_its_block_ends(tmp_path):
    path = tmp_path / "deep" / "table.csv"
    with atomic_file(path) as partial:
        partial.write_text("a")
        assert not path.exists()
    assert path.read_text() == "a"


def test_a_failure_leaves_the_previous_file_and_nothing_else(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("before")

    def write() -> None:
        with atomic_file(path) as partial:
            partial.write_text("half")
            raise RuntimeError("wrong table")

    with pytest.raises(RuntimeError, match="wrong table"):
        write()
    assert [p.name for p in tmp_path.iterdir()] == ["table.csv"]
    assert path.read_text() == "before"


def test_a_directory_replaces_the_previous_one_whole(tmp_path):
    path = tmp_path / "checkpoints"
    path.mkdir()
    (path / "old").touch()
    with atomic_directory(path) as partial:
        (partial / "new").touch()
    assert [p.name for p in path.iterdir()] == ["new"]


def test_a_failure_leaves_the_previous_directory(tmp_path):
    path = tmp_path / "checkpoints"
    path.mkdir()
    (path / "old").touch()

    def write() -> None:
        with atomic_directory(path) as partial:
            (partial / "new").touch()
            raise RuntimeError("wrong table")

    with pytest.raises(RuntimeError, match="wrong table"):
        write()
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoints"]
    assert [p.name for p in path.iterdir()] == ["old"]


@pytest.mark.parametrize("writer", WRITERS)
def test_a_full_disk_is_reported_with_the_folder_and_leaves_the_previous_one(tmp_path, writer):
    with small_disk(tmp_path / "disk", "64k"):
        path = tmp_path / "disk/results"
        path.mkdir()
        (path / "old").write_text("before")

        def write() -> None:
            with atomic_directory(path) as partial:
                WRITERS[writer](partial / "new")

        reason = "could not be written; free space" if writer == "torch" else "the disk is full"
        with pytest.raises(InputError, match=f"^{path}: {reason}"):
            write()
        assert [p.name for p in path.parent.iterdir()] == ["results"]
        assert (path / "old").read_text() == "before"


@pytest.mark.parametrize("writer", [w for w in WRITERS if w != "copytree"])
def test_a_file_beyond_the_limit_is_reported_and_leaves_the_previous_one(tmp_path, writer):
    path = tmp_path / "table"
    path.write_text("before")

    def write() -> None:
        with file_size_limit(50_000), atomic_file(path) as partial:
            WRITERS[writer](partial)

    reason = "could not be written" if writer == "torch" else "files may not be this large"
    with pytest.raises(InputError, match=f"^{path}: {reason}"):
        write()
    assert [p.name for p in tmp_path.iterdir()] == ["table"]
    assert path.read_text() == "before"


def test_a_read_only_folder_is_reported(tmp_path):
    with small_disk(tmp_path / "disk", "64k"):
        subprocess.run(["mount", "-o", "remount,ro", str(tmp_path / "disk")], check=True)
        with pytest.raises(InputError, match=r"disk/a.json: the file system is read-only; make"):
            write_json(tmp_path / "disk/a.json", {})


def test_a_directory_is_nowhere_while_it_is_removed(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint-2"
    path.mkdir()
    (path / "weights").touch()

    def killed(folder: Path, **options: bool) -> None:
        if folder.exists():
            raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        remove_directory(path)
    monkeypatch.undo()
    assert not path.exists()
    assert any(tmp_path.iterdir())
    remove_partials(tmp_path)
    assert not any(tmp_path.iterdir())


def test_what_was_not_written_to_the_end_is_removed_and_nothing_else(tmp_path):
    (tmp_path / "table.csv").touch()
    (tmp_path / ".resume").mkdir()
    (tmp_path / ".table.csv.partial-1").touch()
    (tmp_path / ".checkpoints.partial-1").mkdir()
    remove_partials(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"table.csv", ".resume"}


def test_files_get_the_permissions_of_new_ones(tmp_path):
    (tmp_path / "plain").touch()
    usual = (tmp_path / "plain").stat().st_mode
    with atomic_file(tmp_path / "file") as partial:
        partial.touch(mode=0o600)
    with atomic_directory(tmp_path / "folder") as partial:
        (partial / "inside").touch(mode=0o600)
    assert (tmp_path / "file").stat().st_mode == usual
    assert (tmp_path / "folder/inside").stat().st_mode == usual


def test_a_linked_file_keeps_its_permissions(tmp_path):
    weights = tmp_path / "weights"
    weights.touch(mode=0o600)
    with atomic_directory(tmp_path / "folder") as partial:
        (partial / "weights").symlink_to(weights)
    assert weights.stat().st_mode & 0o777 == 0o600


def test_json_survives(tmp_path):
    write_json(tmp_path / "a.json", {"b": [1, None]})
    assert read_json(tmp_path / "a.json") == {"b": [1, None]}


@pytest.mark.parametrize(("content", "reason"), [(None, "no such file"), ("{", "not valid JSON")])
def test_unreadable_json_names_the_file(tmp_path, content, reason):
    path = tmp_path / "a.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=f"a.json: {reason}"):
        read_json(path)


def test_checksum_is_sha256(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc" * 1000)
    assert sha256_of(path) == hashlib.sha256(b"abc" * 1000).hexdigest()
