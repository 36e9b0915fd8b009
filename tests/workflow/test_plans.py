"""Whole matrices, planned by Snakemake: how many jobs, how fast, and what each asks for."""

from __future__ import annotations

import copy
import re
import resource
from typing import Any, NamedTuple

import pytest
import yaml

from tests.checkout import ROOT
from tests.planned_jobs import job_counts
from tests.tiny_experiment import EXPERIMENT, write_tiny_inputs
from tests.workflow.conftest import Project, copy_of_the_project
from workflow_scripts.study.load import load_study

STAGE_OF_RULE = {
    "pretrain": "pretraining",
    "complete_base": "icl_gap",
    "teacher_shard": "teachers",
    "train": "training",
    "complete_run": "evaluation",
    "complete_transfers": "evaluation",
    "complete_again": "evaluation",
    "hidden_states": "evaluation",
}
GPUS = {"pretraining": 6, "icl_gap": 1, "teachers": 3, "training": 4, "evaluation": 2}
# of a job's first attempt and its second
MEMORY = (1500, 3000)


class Job(NamedTuple):
    rule: str
    model: str | None
    gpu: int
    mem_mb: int


class Plan(NamedTuple):
    counts: dict[str, int]
    jobs: list[Job]
    seconds: float


@pytest.fixture(scope="module")
def plain_project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy whose rules have no message, so that a dry run tells what each job asks for."""
    project = copy_of_the_project(tmp_path_factory.mktemp("plans"), "study")
    for rules in (project.folder / "rules").glob("*.smk"):
        text = re.sub(r"\n    message:\n(        .*\n)+", "\n", rules.read_text())
        rules.write_text(text)
    write_tiny_inputs(project.folder)
    return project


@pytest.fixture(scope="module")
def plan(plain_project: Project):
    """Function of a study file's name to what Snakemake plans of it."""
    plans: dict[str, Plan] = {}

    def planned(name: str) -> Plan:
        if name not in plans:
            plans[name] = plan_of(plain_project, study(name))
        return plans[name]

    return planned


def study(name: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / f"config/experiments/{name}.yaml").read_text())


@pytest.fixture(scope="module")
def asking() -> dict[str, Any]:
    """The tiny experiment with a second model, each stage of which asks for other resources."""
    experiment = copy.deepcopy(EXPERIMENT)
    experiment["models"]["scratch"] = {
        "source": "scratch:gpt2",
        "scratch": {"tasks": ["echo"], "vocabulary": 80, "layers": 2, "width": 32, "heads": 2}
        | {"steps": 10, "batch_size": 6, "learning_rate": 0.003},
        "resources": {"teachers": {"gpu": 5, "mem_mb": MEMORY[0]}},
    }
    experiment["resources"] = {
        stage: {"gpu": gpu, "mem_mb": MEMORY[0]} for stage, gpu in GPUS.items()
    }
    return experiment


def plan_of(project: Project, experiment: dict[str, Any], *arguments: str) -> Plan:
    project.configure(experiment)
    before = cpu_seconds_of_children()
    outcome = project.snakemake("--dry-run", "--cores", "64", *arguments)
    seconds = cpu_seconds_of_children() - before
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return read_plan(outcome.stdout, seconds)


def cpu_seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def read_plan(output: str, seconds: float) -> Plan:
    table = re.search(r"^Job stats:\n(.+?)\n\n", output, re.M | re.S)
    assert table is not None
    rows = [line.split() for line in table.group(1).splitlines()[2:]]
    jobs = []
    for block in re.findall(r"^(?:local)?rule .+?(?=^\[|\Z)", output, re.M | re.S):
        model = re.search(r"wildcards: .*?model=([^,\n]+)", block)
        asked = dict(re.findall(r"\b(gpu|mem_mb)=(\d+)", block))
        name = re.match(r"(?:local)?rule (\w+):", block)
        assert name is not None
        gpu, memory = (int(asked.get(kind, 0)) for kind in ("gpu", "mem_mb"))
        jobs.append(Job(name[1], model[1] if model else None, gpu, memory))
    return Plan({row[0]: int(row[1]) for row in rows}, jobs, seconds)


@pytest.mark.parametrize("name", ["demo-full", "opt-mnli"])
def test_snakemake_plans_the_jobs_of_the_matrix(name, plan):
    counted = job_counts(load_study(study(name)))
    planned = plan(name).counts
    assert {rule: planned.get(rule) for rule in counted} == counted


def test_a_matrix_takes_no_more_planning_a_job_than_a_fifth_of_it(plan):
    """Seconds would be those of this machine; a plan that is slow grows faster than its jobs."""
    small, large = plan("demo-full"), plan("opt-mnli")
    assert large.counts["total"] > 5 * small.counts["total"]
    by_job = [plan.seconds / plan.counts["total"] for plan in (small, large)]
    assert by_job[1] < 2 * by_job[0]


@pytest.fixture(scope="module")
def first_attempt(plain_project, asking) -> Plan:
    return plan_of(plain_project, asking)


def test_no_job_asks_for_other_gpus_than_its_setting(first_attempt, asking):
    plan = first_attempt
    resources = load_study(asking).resources
    assert len(plan.jobs) == plan.counts["total"]
    assert STAGE_OF_RULE.keys() <= plan.counts.keys()
    for job in plan.jobs:
        stage = STAGE_OF_RULE.get(job.rule)
        wanted = resources.of(stage, job.model).gpu if stage else 0
        assert job.gpu == wanted, job


def test_a_job_that_is_tried_again_asks_for_more_memory(plain_project, asking, first_attempt):
    second = plan_of(plain_project, asking, "--attempt", "2")
    for attempt, memory in zip((first_attempt, second), MEMORY, strict=True):
        assert {job.mem_mb for job in attempt.jobs if job.rule in STAGE_OF_RULE} == {memory}
