"""Copies of the project, in which the real Snakefile runs tiny experiments. No network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.checkout import copy_checkout
from tests.tiny_experiment import EXPERIMENT, write_tiny_inputs


@dataclass(frozen=True)
class Project:
    """A working copy and its experiment."""

    folder: Path
    experiment: str = "tiny"

    @property
    def config(self) -> Path:
        return self.folder / f"{self.experiment}.yaml"

    @property
    def results(self) -> Path:
        return self.folder / "results" / self.experiment

    def configure(self, experiment: dict[str, Any]) -> None:
        self.config.write_text(yaml.safe_dump(experiment, sort_keys=False))

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "snakemake", "--configfile", str(self.config), *arguments],
            cwd=self.folder,
            env=os.environ | {"HF_HUB_OFFLINE": "1"},
            capture_output=True,
            text=True,
            timeout=1800,
        )

    def run(self, *targets: str) -> None:
        outcome = self.snakemake("--cores", "2", "--", *targets)
        assert outcome.returncode == 0, outcome.stdout + outcome.stderr

    def planned(self, *targets: str) -> set[str]:
        """Messages of the jobs that a dry run would do."""
        outcome = self.snakemake("--dry-run", "--cores", "1", "--", *targets)
        assert outcome.returncode == 0, outcome.stdout + outcome.stderr
        return set(re.findall(r"^Job \d+: (.+)$", outcome.stdout, re.M))


def copy_of_the_project(folder: Path, experiment: str) -> Project:
    copy_checkout(folder)
    return Project(folder, experiment)


# files that use `finished_project`
SHARING = ("test_bad_input.py", "test_experiment.py", "test_faults.py", "test_reruns.py")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """`--dist loadfile`, with the files that share an experiment in one process.

    `--dist loadgroup` would say so by marks: with pytest 9.2, pytest-xdist 3.8 passes over them.
    """
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return "finished_project" if Path(file).name in SHARING else file

    return Scheduling(config, log)


@pytest.fixture(scope="session")
def finished_project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The tiny experiment, run once to the end."""
    project = copy_of_the_project(tmp_path_factory.mktemp("project"), "tiny")
    write_tiny_inputs(project.folder)
    project.configure(EXPERIMENT)
    project.run()
    return project
