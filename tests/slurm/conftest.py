"""A private SLURM for all tests of this folder, and Snakemake that submits to it.

Run by `make test-slurm`. With REQUIRE_SLURM=1 a machine without SLURM is a failure.
"""

from __future__ import annotations

import copy
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.checkout import ROOT
from tests.slurm.cluster import PARTITION, Cluster, running_cluster, wait_until, why_not
from tests.tiny_experiment import EXPERIMENT
from tests.tiny_models import save_random_qwen3
from tests.workflow.conftest import Project, copy_of_the_project

PROFILE = ["--workflow-profile", str(ROOT / "profiles/slurm"), "--latency-wait", "10"]
# what the private cluster asks for: it has no accounting and no default partition
SQUEUE = ["--slurm-status-command", "squeue"]
IN_PARTITION = ["--default-resources", "nodes=1", f"slurm_partition={PARTITION}"]
PRIVATE = [*SQUEUE, *IN_PARTITION]

# of a small Snakefile whose jobs are started as the project's are
HEAD = f"""
from pathlib import Path
from workflow_scripts.runtime.launch import command_of, expose_to_jobs

expose_to_jobs(Path("{ROOT}"), workflow.is_main_process, submitted=workflow.remote_exec)


def start(program):
    command = command_of(program, gpu=True)
    return command.replace(f"workflow_scripts.{{program}}", f"tests.{{program}}")
"""


@dataclass(frozen=True)
class Run:
    """A Snakemake that was started, and the file that it prints to."""

    process: subprocess.Popen[bytes]
    printed: Path

    @property
    def output(self) -> str:
        return self.printed.read_text()

    def wait_until(self, happened: Callable[[], bool], what: str) -> None:
        """Waits for something that comes before its end."""
        wait_until(lambda: happened() or self.process.poll() is not None, what)
        assert self.process.poll() is None, self.output

    def wait(self) -> int:
        """Its exit status."""
        return self.process.wait(timeout=600)

    def started(self) -> list[str]:
        """The messages of its jobs."""
        return re.findall(r"^Job \d+: (.+)$", self.output, re.M)

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)


# folder, arguments of snakemake, seconds between its looks at the queue (1)
Submit = Callable[..., Run]


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if reason := why_not():
        if os.environ.get("REQUIRE_SLURM"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    with running_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def submit(cluster: Cluster) -> Iterator[Submit]:
    """Starts Snakemake in a folder, with the project's profile for SLURM."""
    started = []

    def start(folder: Path, *arguments: str, poll: float = 1) -> Run:
        printed = folder / f"printed-{len(started)}.txt"
        command = [sys.executable, "-m", "tests.slurm.snakemake_polling", str(poll)]
        with printed.open("w") as output:
            process = subprocess.Popen(
                [*command, *PROFILE, *arguments],
                cwd=folder,
                env=cluster.environment
                | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=heed_interrupts,
            )
        started.append(Run(process, printed))
        return started[-1]

    yield start
    for run in started:
        if run.process.poll() is None:
            run.process.kill()
            run.wait()


def heed_interrupts() -> None:
    """As in a terminal: a shell lets what runs in its background ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def small_project(folder: Path, experiment: dict[str, Any]) -> Project:
    """A copy of the project with an experiment on a random model."""
    project = copy_of_the_project(folder, "tiny")
    save_random_qwen3(folder / "tiny-qwen3", context=512)
    project.configure(experiment)
    return project


def small_experiment() -> dict[str, Any]:
    """The tiny experiment reduced to one task, fine-tuning, and one distilled condition."""
    experiment = copy.deepcopy(EXPERIMENT)
    for key in ("transfer", "comparisons", "representations"):
        del experiment[key]
    del experiment["tasks"]["deduction"]
    experiment["conditions"]["distilled"]["terms"].pop()
    experiment["teacher_pass"]["shard_size"] = 12
    experiment["tasks"]["echo"]["data"]["source"] = str(ROOT / "resources/tasks/plural.jsonl")
    return experiment


TARGETS = ["results/tiny/summary.csv", "results/tiny/figures/tiny/echo/loss_curves.svg"]


@pytest.fixture(scope="session")
def started_experiment(
    submit: Submit, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Project, Run]:
    """What is distilled of the small experiment, on its way to a table and a figure.

    With less memory for teachers than they need at first.
    """
    experiment = small_experiment()
    del experiment["conditions"]["sft"]
    experiment["resources"] = {
        "icl_gap": {"gpu": 1, "mem_mb": 2000},
        "teachers": {"gpu": 1, "mem_mb": 500},
        "training": {"gpu": 2, "mem_mb": 5000},
        "evaluation": {"gpu": 1, "mem_mb": 2000},
    }
    project = small_project(tmp_path_factory.mktemp("experiment"), experiment)
    arguments = [*PRIVATE, "--configfile", str(project.config), "--", *TARGETS]
    return project, submit(project.folder, *arguments)
