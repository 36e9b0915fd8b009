"""Checks before the first job, for what would make jobs fail later; each error is one line."""

from __future__ import annotations

import os
import platform
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import time

from filelock import FileLock, Timeout

from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.gpu_lease import Device
from workflow_scripts.runtime.home import without_home

CLOCK_TOLERANCE_SECONDS = 5


# --- the folder of results --------------------------------------------------------------------


def claim(folder: Path) -> FileLock:
    """Lock the folder of an experiment's results for this process.

    The system releases it when this process ends, however it ends.
    Raises InputError when the folder cannot be written, or names the process that works in it.
    """
    lock = FileLock(folder / ".in-use", mode=0o666)
    holder = folder / ".in-use-by"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
        place = without_home(str(Path.cwd()))
        holder.write_text(f"process {os.getpid()} on {platform.node()}, in {place}\n")
    except Timeout:
        raise InputError(
            f"{folder}: another Snakemake works here ({_read(holder)}); wait until it ends, or "
            "give this experiment another name or another folder under `results:`"
        ) from None
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be written ({error.strerror}); set `results:` to a folder that can"
        ) from None
    return lock


def _read(holder: Path) -> str:
    try:
        return holder.read_text().strip()
    except OSError:
        return "which one is not known"


def check_clock(folder: Path) -> None:
    """Compare the clocks of the file system and of this machine, as Snakemake mixes their times.

    Raises InputError with the difference where there is one.
    """
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".clock-") as file:
        ahead = Path(file.name).stat().st_mtime - time()
    if abs(ahead) > CLOCK_TOLERANCE_SECONDS:
        direction = "ahead of" if ahead > 0 else "behind"
        raise InputError(
            f"{folder}: its file system's clock is {abs(ahead):.0f} seconds {direction} this "
            "machine's, so Snakemake cannot tell what is newer; synchronise the two clocks"
        )


# --- devices ----------------------------------------------------------------------------------


def check_devices(wanted: Mapping[str, int], offered: Sequence[Device]) -> None:
    """Check that this machine has the GPUs that jobs ask for.

    wanted: key of the settings → GPUs for each of its jobs.
    Raises InputError naming a key that asks for more than there are.
    """
    names = ", ".join(device.name for device in offered) or "none"
    for key, count in wanted.items():
        if count > len(offered):
            raise InputError(
                f"{key}: each job asks for {count} GPUs, but this machine offers {len(offered)} "
                f"({names}); lower it, or submit the jobs to a cluster"
            )


# --- SLURM ------------------------------------------------------------------------------------


def check_default_partition() -> None:
    """Raises InputError when the cluster has none, and jobs must therefore name one."""
    partitions = _answer_of("sinfo", "--noheader", "--format", "%P").split()
    if not any(name.endswith("*") for name in partitions):
        raise InputError(
            "the cluster has no default partition; name one in the profile under "
            f"`default-resources: slurm_partition` (there are: {', '.join(partitions) or 'none'})"
        )


def check_accounting() -> None:
    """Raises InputError when the states of jobs cannot be asked of the accounting."""
    try:
        _answer_of("sacct", "--noheader", "--allocations")
    except InputError as error:
        raise InputError(f"{error}; set `slurm-status-command: squeue` in the profile") from None


def _answer_of(*command: str) -> str:
    """Raises InputError with the last line that the command complains with."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise InputError(f"`{command[0]}` is not installed on this machine") from None
    if done.returncode:
        complaint = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        raise InputError(f"`{command[0]}` fails: {complaint[-1]}")
    return done.stdout
