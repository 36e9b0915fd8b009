"""Jobs end with the Snakemake that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from workflow_scripts.runtime.snakemake_process import SNAKEMAKE, announce

JOB = """
import time
from workflow_scripts.runtime.snakemake_process import end_with_snakemake
end_with_snakemake()
print("runs", flush=True)
time.sleep(60)
"""
SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture
def snakemake():
    process = subprocess.Popen(SLEEP)
    yield process
    process.kill()
    process.wait()


def job_of(announced: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", JOB],
        env=os.environ | {SNAKEMAKE: announced},
        stdout=subprocess.PIPE,
        text=True,
    )


def announced_as(process: int) -> str:
    environment: dict[str, str] = {}
    announce(environment)
    _, _, place = environment[SNAKEMAKE].partition(" ")
    return f"{process} {place}"


def test_a_job_ends_by_sigterm_when_its_snakemake_is_killed(snakemake):
    with job_of(announced_as(snakemake.pid)) as job:
        assert job.stdout is not None
        assert job.stdout.readline() == "runs\n"
        assert job.poll() is None
        snakemake.kill()
        snakemake.wait()
        assert job.wait(timeout=10) == -signal.SIGTERM


def test_a_job_whose_snakemake_is_gone_does_not_begin(snakemake):
    snakemake.kill()
    snakemake.wait()
    with job_of(announced_as(snakemake.pid)) as job:
        assert job.communicate(timeout=20)[0] == ""
        assert job.returncode == -signal.SIGTERM


@pytest.mark.parametrize("place", ["elsewhere pid:[1]", ""])
def test_the_number_of_a_process_elsewhere_means_nothing(place):
    with job_of(f"999999999 {place}") as job:
        assert job.stdout is not None
        assert job.stdout.readline() == "runs\n"
        assert job.poll() is None
        job.kill()


def test_a_program_that_no_snakemake_started_runs(snakemake):
    with job_of("") as job:
        assert job.stdout is not None
        assert job.stdout.readline() == "runs\n"
        job.kill()
