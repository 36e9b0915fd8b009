"""Jobs that SLURM ends: by scancel, at their time limit, because Snakemake was interrupted.

Most are trainings, one after the other, of a run that has too many steps to finish. It saves
states only when it gets SIGTERM.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.slurm.cluster import Cluster, wait_until
from tests.slurm.conftest import HEAD, PRIVATE, Run, Submit, small_experiment, small_project
from tests.workflow.conftest import Project

SLOW_TO_SAVE = """
rule slow:
    output: "finished"
    log: "slow.log"
    resources: gpu=1, mem_mb=1000, runtime=5
    shell: start("slurm.slow_to_save") + " saved > {log} 2>&1"
"""
STEPS = 1_000_000
# of two runs; with ten of the node's CPUs each, one waits for the other
OUTPUTS = [f"results/tiny/tiny/echo/runs/sft/seed-{seed}/cost.json" for seed in (0, 1)]


@dataclass(frozen=True)
class Training:
    """A Snakemake that trains, its exit status, and the log of the training that was ended."""

    run: Run
    status: int
    log: str

    def first_step(self) -> int:
        return int(re.findall(r"^step (\d+)/", self.log, re.M)[0])

    def last_step(self) -> int:
        """The last saved step."""
        found = re.search(rf"stopped by SIGTERM after step (\d+) of {STEPS}", self.log)
        assert found, self.log
        return int(found[1])


@pytest.fixture(scope="module")
def project(started_experiment: object, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The small experiment with endless training; the other one goes on beside it."""
    experiment = small_experiment()
    experiment["seeds"] = [0, 1]
    experiment["training"] |= {"steps": STEPS, "checkpoints": [STEPS], "resume_every": STEPS}
    experiment["resources"] = {"training": {"threads": 10, "gpu": 2, "mem_mb": 5000}}
    return small_project(tmp_path_factory.mktemp("training"), experiment)


@pytest.fixture(scope="module")
def cancelled(project: Project, cluster: Cluster, submit: Submit) -> Training:
    run = start(project, submit, OUTPUTS[:1], minutes=10)
    run.wait_until(lambda: len(steps(project)) > 1, "a step")
    (job,) = cluster.queue(project.folder)
    cluster.ask("scancel", job)
    return ended(project, run)


@pytest.fixture(scope="module")
def overrun(cancelled: Training, project: Project, submit: Submit) -> Training:
    """The same again, to its limit of a minute."""
    return ended(project, start(project, submit, OUTPUTS[:1], minutes=1))


@pytest.fixture(scope="module")
def interrupted(
    overrun: Training, project: Project, cluster: Cluster, submit: Submit
) -> tuple[Training, list[str]]:
    """The same again with a second one that waits, and the states of both jobs before Ctrl-C.

    Jobs that Snakemake is asking SLURM for at the very moment of Ctrl-C are not cancelled, so it
    asks rarely here.
    """
    run = start(project, submit, OUTPUTS, minutes=10, poll=10)
    run.wait_until(lambda: len(steps(project)) > 0, "a step")
    run.wait_until(lambda: len(cluster.queue(project.folder)) == 2, "the second job")
    states = sorted(cluster.queue(project.folder).values())
    run.interrupt()
    return ended(project, run), states


def start(
    project: Project, submit: Submit, outputs: list[str], minutes: int, poll: float = 1
) -> Run:
    """Training with this time limit and new logs; a job that is ended is not tried again."""
    for old in logs(project):
        old.unlink()
    options = ["--retries", "0", "--set-resources", f"train:runtime={minutes}"]
    options += ["--configfile", str(project.config)]
    return submit(project.folder, *outputs, *PRIVATE, *options, poll=poll)


def ended(project: Project, run: Run) -> Training:
    return Training(run, run.wait(), log(project))


def log(project: Project) -> str:
    """The log of the one training that has begun."""
    return "".join(path.read_text() for path in logs(project))


def logs(project: Project) -> list[Path]:
    return list((project.results / "logs/train").rglob("*.log"))


def steps(project: Project) -> list[str]:
    return re.findall(r"^step (\d+)/", log(project), re.M)


def test_a_cancelled_job_is_reported_with_its_log(cancelled):
    assert cancelled.status != 0
    assert "SLURM status is: 'CANCELLED'" in cancelled.run.output
    assert "log: results/tiny/logs/train/tiny/echo/sft/0.log" in cancelled.run.output


def test_it_has_time_to_save_its_state(cancelled):
    assert cancelled.last_step() > 1


def test_a_rerun_runs_only_what_is_missing(overrun):
    assert set(overrun.run.started()) == {"train sft, seed 0 (tiny, echo)"}


def test_it_continues_after_the_saved_step(cancelled, overrun):
    assert overrun.first_step() == cancelled.last_step() + 1


def test_a_job_past_its_time_limit_is_reported_with_its_log(overrun):
    assert overrun.status != 0
    assert "SLURM status is: 'TIMEOUT'" in overrun.run.output
    assert "log: results/tiny/logs/train/tiny/echo/sft/0.log" in overrun.run.output


def test_at_its_time_limit_training_saves_its_state(overrun):
    assert overrun.last_step() > overrun.first_step()


def test_ctrl_c_empties_the_queue(interrupted, project, cluster):
    training, states = interrupted
    assert states == ["PENDING", "RUNNING"]
    assert training.status != 0
    wait_until(lambda: not cluster.queue(project.folder), "the end of both jobs")


def test_ctrl_c_lets_training_save_its_state(interrupted, project, cluster):
    wait_until(lambda: not cluster.queue(project.folder), "the end of both jobs")
    assert "stopped by SIGTERM" in log(project)


def test_a_job_has_the_time_that_slurm_gives_it_to_save(tmp_path, cluster, submit):
    (tmp_path / "Snakefile").write_text(HEAD + SLOW_TO_SAVE)
    run = submit(tmp_path, *PRIVATE, "--retries", "0")
    log = tmp_path / "slow.log"
    run.wait_until(lambda: log.exists() and "ready" in log.read_text(), "the job")
    cluster.ask("scancel", *cluster.queue(tmp_path))
    assert run.wait() != 0
    assert (tmp_path / "saved").exists()
