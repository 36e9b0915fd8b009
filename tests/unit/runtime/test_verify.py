"""All damaged files are found at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from workflow_scripts.runtime.checksums import sha256_of
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import atomic_directory, write_json
from workflow_scripts.runtime.verify import main


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A table, and a checkpoint with its manifest."""
    results = tmp_path / "results"
    write_json(results / "table.json", [1, 2])
    with atomic_directory(results / "run/checkpoints", checksum=False) as partial:
        (partial / "weights").write_bytes(bytes(10))
        files = {"weights": sha256_of(partial / "weights")}
        write_json(partial / "manifest.json", {"files": files})
    return results


def test_undamaged_results_are_none(results: Path, capsys):
    main([results])
    assert capsys.readouterr().out == "0 damaged files\n"


def test_each_damaged_file_is_named_and_left(results: Path, capsys):
    (results / "table.json").write_text("[1]")
    (results / "run/checkpoints/weights").unlink()
    with pytest.raises(InputError, match=r"^2 damaged files; repeat this with --delete"):
        main([results])
    named = capsys.readouterr().out.split()
    assert named == [str(results / "table.json"), str(results / "run/checkpoints/weights")]
    assert (results / "table.json").exists()


def test_what_makes_a_damaged_file_again_is_deleted(results: Path):
    (results / "run/checkpoints/weights").write_bytes(b"")
    main([results], delete=True)
    assert not (results / "run/checkpoints/manifest.json").exists()
    assert (results / "table.json").exists()


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="elsewhere: no such folder"):
        main([tmp_path / "elsewhere"])
