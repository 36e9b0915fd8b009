"""The files of a model are those that were fetched."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from workflow_scripts.modeling import unchanged_files
from workflow_scripts.modeling.unchanged_files import refuse_changed, remember
from workflow_scripts.runtime.checksums import sha256_of
from workflow_scripts.runtime.errors import InputError

LARGE = 200


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model with a link to weights, as large as any, and a small config."""
    monkeypatch.setattr(unchanged_files, "_LARGE", LARGE)
    (tmp_path / "source").mkdir()
    (tmp_path / "source/weights").write_bytes(bytes(LARGE))
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "weights").symlink_to(tmp_path / "source/weights")
    (folder / "config.json").write_text("{}")
    return folder


@pytest.fixture
def checksums(folder: Path) -> dict[str, str]:
    return {name: sha256_of(folder / name) for name in ("config.json", "weights")}


def keeping_its_time(path: Path, content: bytes) -> None:
    stat = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_unchanged_files_are_accepted(folder: Path, checksums: dict[str, str]):
    refuse_changed(folder, checksums)
    refuse_changed(folder, checksums)


def test_weights_that_change_behind_their_link_are_refused(folder: Path, checksums: dict[str, str]):
    refuse_changed(folder, checksums)
    (folder / "weights").resolve().write_bytes(bytes(LARGE - 1) + b"1")
    with pytest.raises(InputError, match=r"tiny: weights is changed since it was fetched; delete"):
        refuse_changed(folder, checksums)


def test_weights_of_another_size_are_refused(folder: Path, checksums: dict[str, str]):
    refuse_changed(folder, checksums)
    keeping_its_time((folder / "weights").resolve(), bytes(2 * LARGE))
    with pytest.raises(InputError, match="weights is changed"):
        refuse_changed(folder, checksums)


def test_a_small_file_is_read_whatever_its_time(folder: Path, checksums: dict[str, str]):
    refuse_changed(folder, checksums)
    keeping_its_time(folder / "config.json", b"[]")
    with pytest.raises(InputError, match=r"config\.json is changed"):
        refuse_changed(folder, checksums)


def test_weights_that_were_only_copied_are_read_once(
    folder: Path, checksums: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    refuse_changed(folder, checksums)
    os.utime((folder / "weights").resolve(), ns=(1, 1))
    refuse_changed(folder, checksums)
    read: list[Path] = []
    monkeypatch.setattr(unchanged_files, "sha256_of", lambda path: read.append(path) or "other")
    with pytest.raises(InputError):
        refuse_changed(folder, checksums)
    assert read == [folder / "config.json"]


def test_weights_that_were_just_fetched_are_not_read_again(
    folder: Path, checksums: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    remember(folder, list(checksums))
    monkeypatch.setattr(unchanged_files, "sha256_of", lambda path: checksums[path.name])
    monkeypatch.setitem(checksums, "weights", "never compared")
    refuse_changed(folder, checksums)


@pytest.mark.parametrize("content", ["[]", "{", ""])
def test_a_damaged_note_of_times_means_reading_again(
    folder: Path, checksums: dict[str, str], content: str
):
    (folder / ".seen.json").write_text(content)
    refuse_changed(folder, checksums)


def test_a_manifest_without_files_is_refused(folder: Path):
    with pytest.raises(InputError, match="every file is missing"):
        refuse_changed(folder, {})
