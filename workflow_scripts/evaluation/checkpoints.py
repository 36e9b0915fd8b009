"""The checkpoints of a trained run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from workflow_scripts.runtime.checksums import checked, sha256_of
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import read_json


def read_checkpoints(manifest: Path, steps: Sequence[int]) -> dict[int, Path]:
    """Step → folder of its checkpoint, for these steps of the run.

    Raises InputError when the run kept no checkpoint of a step, or a file is missing or differs
    from what training wrote.
    """
    content = read_json(checked(manifest))
    for step in steps:
        if step not in content["steps"]:
            kept = ", ".join(map(str, content["steps"]))
            raise InputError(
                f"{manifest}: no checkpoint of step {step}, only of {kept}; "
                "delete it to train again"
            )
    folders = {step: manifest.parent / f"step-{step}" for step in steps}
    for name, checksum in content["files"].items():
        path = manifest.parent / name
        if path.parent not in folders.values():
            continue
        if not path.exists() or sha256_of(path) != checksum:
            raise InputError(f"{path}: missing or damaged; delete {manifest} to train again")
    return folders
