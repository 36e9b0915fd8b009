"""Files and folders appear whole or not at all."""

from __future__ import annotations

import hashlib

import pytest

from workflow_scripts.errors import InputError
from workflow_scripts.files import atomic_directory, atomic_file, read_json, sha256_of, write_json


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
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
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
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write()
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoints"]
    assert [p.name for p in path.iterdir()] == ["old"]


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
