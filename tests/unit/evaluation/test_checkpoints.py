"""A run's checkpoints are read whole and checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from workflow_scripts.evaluation.checkpoints import read_checkpoints
from workflow_scripts.runtime.checksums import sha256_of
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import write_json


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    files = {}
    for step in (2, 10):
        path = tmp_path / f"step-{step}" / "adapter_model.safetensors"
        path.parent.mkdir()
        path.write_text(str(step))
        files[str(path.relative_to(tmp_path))] = sha256_of(path)
    write_json(tmp_path / "manifest.json", {"steps": [2, 10], "files": files})
    return tmp_path / "manifest.json"


def test_steps_are_read_with_their_folders(manifest):
    assert read_checkpoints(manifest, [2, 10]) == {
        2: manifest.parent / "step-2",
        10: manifest.parent / "step-10",
    }


@pytest.mark.parametrize("damage", ["delete", "rewrite"])
def test_a_damaged_adapter_is_refused_by_name(manifest, damage):
    path = manifest.parent / "step-10/adapter_model.safetensors"
    path.unlink() if damage == "delete" else path.write_text("other")
    with pytest.raises(InputError, match=r"step-10/adapter_model.*missing or damaged"):
        read_checkpoints(manifest, [2, 10])


def test_other_checkpoints_are_not_read(manifest):
    (manifest.parent / "step-10/adapter_model.safetensors").unlink()
    assert read_checkpoints(manifest, [2]) == {2: manifest.parent / "step-2"}


def test_a_step_without_a_checkpoint_is_refused_by_name(manifest):
    with pytest.raises(InputError, match="no checkpoint of step 7, only of 2, 10"):
        read_checkpoints(manifest, [2, 7])
