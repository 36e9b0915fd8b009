"""The studies' whole matrices, planned: how many jobs, how fast, and what each asks for."""

from __future__ import annotations

import re
import resource
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from tests.workflow.conftest import ROOT, Project, copy_of_the_project
from workflow_scripts.study.load import load_study

STUDIES = ROOT / "config/experiments"
STAGE_OF_RULE = {
    "pretrain": "pretraining",
    "icl_complete": "icl_gap",
    "teacher_shard": "teachers",
    "train": "training",
    "complete": "evaluation",
    "transfer": "evaluation",
    "repeat": "evaluation",
    "represent": "evaluation",
}

# models × tasks × conditions × seeds, and what stands before and after them
JOBS = {
    # 3 models at 3 shot counts; 20 conditions on 2 students and one on the smaller, 3 seeds;
    # 14 targets of each student in 6 parts
    "qwen3-gsm8k": {
        "fetch_model": 3,
        "make_task": 1,
        "icl_complete": 9,
        "teacher_shard": 168,
        "teacher_manifest": 28,
        "train": 123,
        "complete": 123,
        "repeat": 2,
        "score": 134,
    },
    # 16 conditions and 3 seeds; hidden states of the 9 conditions that are drawn by layer
    "qwen3-layers": {
        "teacher_shard": 36,
        "train": 48,
        "represent": 27,
        "repeat": 1,
        "score": 51,
    },
    # 37 conditions on 2 students and 4 tasks, 3 seeds, and those of one task on 3 others; a third
    # model teaches
    "opt-mnli": {
        "fetch_model": 3,
        "find_overflow": 7,
        "icl_complete": 126,
        "teacher_shard": 24,
        "train": 888,
        "complete": 888,
        "transfer": 666,
    },
    # 6 conditions on 3 students and a mixture of 9 tasks, 3 seeds, evaluated on 11 tasks, on 3 of
    # them after demonstrations too; all read one target, in 10 parts
    "flan-uld": {
        "fetch_model": 4,
        "find_overflow": 11,
        "make_task": 11,
        "mix_tasks": 1,
        "icl_complete": 60,
        "teacher_shard": 10,
        "train": 54,
        "complete": 54,
        "transfer": 756,
    },
    # 4 and 2 conditions on 2 students and a mixture of 3 tasks, 3 seeds, evaluated on 4 tasks, on
    # one of them after demonstrations too
    "demo-uld": {
        "fetch_model": 1,
        "pretrain": 3,
        "make_task": 4,
        "mix_tasks": 1,
        "icl_complete": 24,
        "teacher_shard": 2,
        "train": 18,
        "complete": 18,
        "transfer": 90,
    },
    # 18 conditions and 3 seeds, evaluated on 3 other tasks too
    "demo-nli": {
        "icl_complete": 20,
        "teacher_shard": 3,
        "train": 54,
        "complete": 54,
        "transfer": 162,
        "score": 237,
    },
    # 5 conditions trained on 5 of 13 tasks, and those of GSM8K evaluated on the other 12
    "qwen3-mmlu-bbh": {
        "fetch_model": 2,
        "make_task": 13,
        "icl_complete": 52,
        "train": 150,
        "complete": 150,
        "transfer": 360,
        "repeat": 10,
        "score": 572,
    },
    # one task entry in 6 languages
    "qwen3-mgsm": {"make_task": 6, "icl_complete": 12, "train": 36, "complete": 36},
    # 27 conditions on 2 tasks and 3 seeds; hidden states of 11 conditions
    "demo-full": {"icl_complete": 4, "train": 162, "complete": 162, "represent": 66, "repeat": 2},
    "smollm2-gsm8k": {"icl_complete": 2, "train": 5, "complete": 5},
    # the study of the README
    "first": {"icl_complete": 2, "teacher_shard": 1, "train": 2, "complete": 2},
}


class Job(NamedTuple):
    rule: str
    model: str | None
    gpu: int


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
    return project


@pytest.fixture(scope="module")
def plan(plain_project: Project):
    plans: dict[str, Plan] = {}

    def planned(name: str) -> Plan:
        if name not in plans:
            plain_project.configure(yaml.safe_load(study(name).read_text()))
            before = cpu_seconds_of_children()
            outcome = plain_project.snakemake("--dry-run", "--cores", "64")
            seconds = cpu_seconds_of_children() - before
            assert outcome.returncode == 0, outcome.stdout + outcome.stderr
            plans[name] = read_plan(outcome.stdout, seconds)
        return plans[name]

    return planned


def study(name: str) -> Path:
    return STUDIES / f"{name}.yaml"


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
        gpu = re.search(r"resources: .*?\bgpu=(\d+)", block)
        name = re.match(r"(?:local)?rule (\w+):", block)
        assert name is not None
        jobs.append(Job(name[1], model[1] if model else None, int(gpu[1]) if gpu else 0))
    return Plan({row[0]: int(row[1]) for row in rows}, jobs, seconds)


def test_every_study_has_its_counts_here():
    assert set(JOBS) == {path.stem for path in STUDIES.glob("*.yaml")}


@pytest.mark.parametrize("name", JOBS)
def test_the_matrix_has_as_many_jobs_as_it_should(name, plan):
    counts = plan(name).counts
    assert {rule: counts.get(rule) for rule in JOBS[name]} == JOBS[name]


def test_a_matrix_takes_no_more_planning_a_job_than_a_seventh_of_it(plan):
    """Seconds would be those of this machine; a plan that is slow grows faster than its jobs."""
    small, large = plan("demo-full"), plan("opt-mnli")
    assert large.counts["total"] > 6 * small.counts["total"]
    by_job = [plan.seconds / plan.counts["total"] for plan in (small, large)]
    assert by_job[1] < 2 * by_job[0]


@pytest.mark.parametrize("name", JOBS)
def test_no_job_asks_for_other_gpus_than_its_setting(name, plan):
    resources = load_study(yaml.safe_load(study(name).read_text())).resources
    jobs = plan(name).jobs
    assert len(jobs) == plan(name).counts["total"]
    for job in jobs:
        stage = STAGE_OF_RULE.get(job.rule)
        wanted = resources.of(stage, job.model).gpu if stage else 0
        assert job.gpu == wanted, job


def test_a_job_that_is_tried_again_asks_for_more_memory(plain_project):
    settings = yaml.safe_load(study("smollm2-gsm8k").read_text())
    plain_project.configure(settings)
    model = next(iter(settings["models"]))
    arguments = "--dry-run", "--cores", "1", f"resources/models/{model}/manifest.json", "--attempt"
    plans = [plain_project.snakemake(*arguments, attempt).stdout for attempt in "12"]
    first, second = (int(found) for plan in plans for found in re.findall(r"mem_mb=(\d+)", plan))
    assert second == 2 * first
