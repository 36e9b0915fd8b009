"""Which files the linter reads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_module_of_the_package_and_every_test_is_linted():
    """`workflow_scripts/results/` too, though the folder of an experiment's results is not."""
    command = [sys.executable, "-m", "ruff", "check", "--show-files", "workflow_scripts", "tests"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = {
        file for folder in ("workflow_scripts", "tests") for file in (ROOT / folder).rglob("*.py")
    }
    assert files - set(map(Path, shown.splitlines())) == set()
