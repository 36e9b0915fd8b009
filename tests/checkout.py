"""The parts of this checkout that run a study."""

from __future__ import annotations

import shutil
from pathlib import Path

ROOT = Path(__file__).parents[1]
_PARTS = (
    "Snakefile",
    "rules",
    "workflow_scripts",
    "config",
    "envs",
    "profiles",
    "resources/tasks",
)


def copy_checkout(folder: Path) -> None:
    """Copy them into `folder`, made if it is not there."""
    for name in _PARTS:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
