"""Jobs with several GPUs, on a node that has four."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.slurm.conftest import HEAD, PRIVATE, Submit
from workflow_scripts.runtime.files import read_json

SNAKEFILE = """
rule all:
    input: expand("job-{number}.json", number=range(3))

rule record:
    output: "job-{number}.json"
    log: "job-{number}.log"
    resources: gpu=2, mem_mb=1000, runtime=5
    shell: start("slurm.recorder") + " {output} > {log} 2>&1"
"""


@pytest.fixture(scope="module")
def folder(submit: Submit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where three jobs with two GPUs each have run."""
    folder = tmp_path_factory.mktemp("devices")
    (folder / "Snakefile").write_text(HEAD + SNAKEFILE)
    run = submit(folder, *PRIVATE)
    assert run.wait() == 0, run.output
    return folder


@pytest.fixture
def jobs(folder: Path) -> list[dict[str, Any]]:
    """In the order in which they began."""
    records = [read_json(path) for path in folder.glob("job-*.json")]
    return sorted(records, key=lambda record: record["begin"])


def test_two_jobs_run_at_once_on_disjoint_devices(jobs):
    first, second, _ = jobs
    assert second["begin"] < first["end"]
    assert len(set(first["devices"] + second["devices"])) == 4


def test_the_third_waits_for_devices(jobs):
    first, second, third = jobs
    assert third["begin"] >= min(first["end"], second["end"])
    assert len(set(third["devices"])) == 2


def test_the_devices_are_those_that_slurm_assigned(folder):
    for log in folder.glob("job-*.log"):
        devices = ",".join(read_json(log.with_suffix(".json"))["devices"])
        assert f"devices: {devices} (assigned by the scheduler)" in log.read_text()
