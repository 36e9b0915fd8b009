"""From a model to a table and a figure, every job that is not light submitted by sbatch."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from tests.slurm.cluster import Cluster
from tests.slurm.conftest import TARGETS, Run
from tests.workflow.conftest import Project

STAGES_ON_DEVICES = {"complete_base": 1, "teacher_shard": 1, "train": 2, "complete_run": 1}


@pytest.fixture(scope="module")
def experiment(started_experiment: tuple[Project, Run]) -> tuple[Project, str]:
    """The finished project and what Snakemake printed."""
    project, run = started_experiment
    assert run.wait() == 0, run.output
    return project, run.output


def test_every_result_is_there(experiment):
    project, _ = experiment
    summary = pd.read_csv(project.results / "summary.csv")
    runs = summary[summary["seed"].notna()]
    assert set(zip(runs["condition"], runs["step"], strict=True)) == {
        ("distilled", step) for step in (0, 1, 3)
    }
    assert all((project.folder / target).exists() for target in TARGETS)
    assert not project.planned(*TARGETS)


@pytest.mark.parametrize(("rule", "count"), STAGES_ON_DEVICES.items())
def test_jobs_see_as_many_devices_as_they_ask_for(rule, count, experiment):
    project, _ = experiment
    logs = list((project.results / "logs" / rule).rglob("*.log"))
    assert logs
    for log in logs:
        found = re.search(r"^devices: (\S+) \(assigned by the scheduler\)$", log.read_text(), re.M)
        assert found, log
        assert len(set(found[1].split(","))) == count


def test_light_rules_run_where_snakemake_runs(experiment, cluster: Cluster):
    submitted = cluster.ask("squeue", "--states=all", "--noheader", "--format=%k")
    assert "rule_train" in submitted
    assert not re.search(r"rule_(fetch_model|make_task|score|draw|gather)\b", submitted)


def test_a_job_ended_for_its_memory_is_reported_with_its_log(experiment):
    _, output = experiment
    assert re.search(
        r"Error in rule teacher_shard:(?:\n .*)*log: \S+/logs/teacher_shard/tiny/echo/", output
    )


def test_it_gets_through_with_more_memory(experiment, cluster: Cluster):
    jobs = cluster.ask("squeue", "--states=all", "--noheader", "--format=%T %m %k").splitlines()
    teachers = [job.split() for job in jobs if "rule_teacher_shard" in job]
    assert {memory for state, memory, _ in teachers if state != "COMPLETED"} == {"500M"}
    assert {memory for state, memory, _ in teachers if state == "COMPLETED"} == {"1000M"}
