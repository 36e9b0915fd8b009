"""What a job wrote has a checksum beside it, and whoever reads it compares."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from workflow_scripts.runtime.checksums import checked, checksum_file, sha256_of
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import (
    atomic_directory,
    atomic_file,
    remove_directory,
    write_checksums,
    write_json,
)

ROWS = pd.DataFrame({"item": [f"i{n}" for n in range(100)], "correct": [n % 2 for n in range(100)]})


@pytest.fixture
def table(tmp_path: Path) -> Path:
    with atomic_file(tmp_path / "table.parquet") as partial:
        ROWS.to_parquet(partial)
    return tmp_path / "table.parquet"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with atomic_directory(tmp_path / "step-20") as partial:
        (partial / "deep").mkdir()
        (partial / "deep/weights").write_bytes(bytes(100))
        (partial / "config.json").write_text("{}")
    return tmp_path / "step-20"


def flip(path: Path, place: int = 0) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_what_is_as_it_was_written_is_read(table: Path, folder: Path):
    assert checked(table) == table
    assert checked(folder) == folder


def test_a_missing_file_is_refused_by_name(tmp_path: Path):
    with pytest.raises(InputError, match=r"table\.csv: no such file"):
        checked(tmp_path / "table.csv")


@pytest.mark.parametrize(
    "damage",
    [
        lambda rows: rows.head(50),
        lambda rows: pd.concat([rows, rows]),
        lambda rows: rows.iloc[::-1],
        lambda rows: rows.assign(correct=1),
    ],
    ids=["halved", "doubled", "reordered", "another column"],
)
def test_another_table_is_refused(table: Path, damage: Callable[[pd.DataFrame], pd.DataFrame]):
    damage(ROWS).to_parquet(table)
    with pytest.raises(InputError, match=r"table\.parquet: not as it was written.*delete it and"):
        checked(table)


@pytest.mark.parametrize("place", [0, 500, -1])
def test_a_flipped_bit_is_refused(table: Path, place: int):
    flip(table, place)
    with pytest.raises(InputError, match=r"table\.parquet: not as it was written"):
        checked(table)


def test_a_file_that_took_another_s_place_is_refused(table: Path, tmp_path: Path):
    write_json(tmp_path / "other", {})
    (tmp_path / "other").replace(table)
    with pytest.raises(InputError, match="not as it was written"):
        checked(table)


def test_so_is_one_that_came_with_its_checksum(table: Path, tmp_path: Path):
    write_json(tmp_path / "other", {})
    checksum_file(tmp_path / "other").replace(checksum_file(table))
    (tmp_path / "other").replace(table)
    with pytest.raises(InputError, match="not as it was written"):
        checked(table)


def test_a_file_without_a_checksum_is_refused(table: Path):
    checksum_file(table).unlink()
    with pytest.raises(InputError, match=r"has no checksum beside it \(\.table\.parquet\.sha256\)"):
        checked(table)


def test_a_damaged_checksum_refuses_its_file(table: Path):
    checksum_file(table).write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="not as it was written"):
        checked(table)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: flip(folder / "deep/weights"),
        lambda folder: (folder / "deep/weights").unlink(),
        lambda folder: (folder / "more").touch(),
    ],
    ids=["flipped", "gone", "added"],
)
def test_a_changed_folder_is_refused(folder: Path, damage: Callable[[Path], None]):
    damage(folder)
    with pytest.raises(InputError, match="step-20: not as it was written"):
        checked(folder)


def test_a_folder_and_its_checksums_go_together(folder: Path, tmp_path: Path):
    remove_directory(folder)
    assert list(tmp_path.iterdir()) == []


def test_files_of_others_can_be_given_checksums(tmp_path: Path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state/optimizer.pt").write_bytes(bytes(10))
    write_checksums(tmp_path / "state")
    assert checked(tmp_path / "state").is_dir()
    flip(tmp_path / "state/optimizer.pt")
    with pytest.raises(InputError, match="state: not as it was written"):
        checked(tmp_path / "state")


def test_sha256sum_reads_them(table: Path, folder: Path, tmp_path: Path):
    lists = [checksum_file(path).name for path in (table, folder)]
    done = subprocess.run(
        ["sha256sum", "--check", *lists], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(": OK") == 3


def test_a_checksum_is_sha256(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_of(tmp_path / "a") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
