"""How a job's program is started."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def command_of(entry_point: str) -> str:
    """The shell command of an entry point, `<stage>.<rule>`, without its arguments."""
    return f"python -m workflow_scripts.{entry_point}"


def expose_to_jobs(root: Path) -> None:
    """Lets jobs find this interpreter, its virtual environment activated or not, and the package.

    A conda environment that Snakemake activates still comes first.
    """
    _prepend("PATH", Path(sys.executable).parent)
    _prepend("PYTHONPATH", root)


def _prepend(variable: str, folder: Path) -> None:
    before = os.environ.get(variable)
    os.environ[variable] = os.pathsep.join([str(folder), *([before] if before else [])])
