from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from workflow_scripts.runtime import preflight
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.gpu_lease import Device

HOLDER = """
import sys, time
from pathlib import Path
from workflow_scripts.runtime.preflight import claim
lock = claim(Path(sys.argv[1]))
print("claimed", flush=True)
time.sleep(600)
"""
DEVICES = [Device("GPU-1", "GPU-1"), Device("GPU-2", "GPU-2")]


# --- the folder of results ----------------------------------------------------------------


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results/tiny"


@pytest.fixture
def holder(results: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that works in the folder of results."""
    command = [sys.executable, "-c", HOLDER, str(results)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "claimed\n"
    yield process
    process.kill()
    process.wait()


def test_a_claimed_folder_is_refused_with_the_process_that_works_in_it(results, holder):
    with pytest.raises(InputError) as refused:
        preflight.claim(results)
    assert str(refused.value) == (
        f"{results}: another Snakemake works here (process {holder.pid} on {platform.node()}, in "
        f"{Path.cwd()}); wait until it ends, or give this experiment another name or another "
        "folder under `results:`"
    )


def test_a_claim_ends_with_its_process_however_that_ends(results, holder):
    holder.kill()
    holder.wait()
    assert preflight.claim(results).is_locked


def test_a_claim_is_not_inherited_by_jobs(results):
    lock = preflight.claim(results)
    job = subprocess.Popen(["sleep", "600"])
    lock.release()
    try:
        assert preflight.claim(results).is_locked
    finally:
        job.kill()
        job.wait()


def test_a_folder_that_cannot_be_written_is_named():
    """Nobody can make folders there."""
    with pytest.raises(InputError, match=r"^/sys/results/tiny: cannot be written .*`results:`"):
        preflight.claim(Path("/sys/results/tiny"))


@pytest.mark.parametrize(("shift", "direction"), [(-90, "ahead of"), (90, "behind")])
def test_another_clock_of_the_file_system_is_reported_in_seconds(
    shift, direction, tmp_path, monkeypatch
):
    now = preflight.time
    monkeypatch.setattr(preflight, "time", lambda: now() + shift)
    with pytest.raises(InputError, match=f"clock is 90 seconds {direction} this machine's"):
        preflight.check_clock(tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_same_clock_is_fine(tmp_path):
    preflight.check_clock(tmp_path)


# --- devices ------------------------------------------------------------------------------


def test_more_gpus_than_there_are_are_refused_with_both_numbers():
    wanted = {"resources.teachers.gpu": 1, "models.large.resources.training.gpu": 4}
    with pytest.raises(InputError) as refused:
        preflight.check_devices(wanted, DEVICES)
    assert str(refused.value).startswith(
        "models.large.resources.training.gpu: each job asks for 4 GPUs, but this machine offers 2 "
        "(GPU-1, GPU-2);"
    )


def test_as_many_gpus_as_there_are_are_fine():
    preflight.check_devices({"resources.training.gpu": 2, "resources.teachers.gpu": 1}, DEVICES)


# --- SLURM --------------------------------------------------------------------------------


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts a program of SLURM on the path that answers as a real one did."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def answer(program: str, output: str = "", complaint: str = "", status: int = 0) -> None:
        path = folder / program
        lines = [f"printf '{output}'", f"printf '{complaint}' >&2", f"exit {status}"]
        path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
        path.chmod(0o755)

    return answer


def test_a_cluster_with_a_default_partition_needs_none_in_the_profile(slurm):
    slurm("sinfo", "long\\ndebug*\\n")
    preflight.check_default_partition()


def test_without_a_default_partition_the_profile_must_name_one(slurm):
    slurm("sinfo", "long\\ngpu\\n")
    with pytest.raises(InputError) as refused:
        preflight.check_default_partition()
    assert str(refused.value) == (
        "the cluster has no default partition; name one in the profile under "
        "`default-resources: slurm_partition` (there are: long, gpu)"
    )


def test_a_controller_that_does_not_answer_is_reported(slurm):
    complaint = "slurm_load_partitions: Unable to contact slurm controller (connect failure)"
    slurm("sinfo", complaint=complaint, status=1)
    with pytest.raises(InputError) as refused:
        preflight.check_default_partition()
    assert str(refused.value) == f"`sinfo` fails: {complaint}"


def test_a_cluster_with_accounting_is_fine(slurm):
    slurm("sacct")
    preflight.check_accounting()


def test_without_accounting_the_states_are_to_be_asked_of_the_queue(slurm):
    slurm("sacct", complaint="Slurm accounting storage is disabled", status=1)
    with pytest.raises(InputError) as refused:
        preflight.check_accounting()
    assert str(refused.value) == (
        "`sacct` fails: Slurm accounting storage is disabled; set "
        "`slurm-status-command: squeue` in the profile"
    )


def test_a_missing_program_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="`sinfo` is not installed on this machine"):
        preflight.check_default_partition()
