"""What is wrong is refused, before any job where it can be, in one line that says what to do.

Each refusal of a setting is tested in tests/unit/study; here, that Snakemake shows it.
"""

from __future__ import annotations

import copy
import json
import os
import re
from importlib.util import find_spec

import pytest

from tests.outputs import save
from tests.tiny_experiment import EXPERIMENT
from tests.workflow.conftest import Project
from workflow_scripts.runtime.preflight import claim


def test_settings_are_refused_in_one_line_for_each_problem(finished_project: Project):
    experiment = copy.deepcopy(EXPERIMENT)
    experiment["conditions"]["distilled"]["terms"][1]["weight"] = -1
    experiment["training"]["steps"] = "many"
    finished_project.configure(experiment)
    try:
        outcome = finished_project.snakemake("--cores", "1")
    finally:
        finished_project.configure(EXPERIMENT)
    assert outcome.returncode != 0
    lines = (outcome.stdout + outcome.stderr).splitlines()
    for message in (
        "conditions.distilled.terms.1.weight: must be at least 0",
        "training.steps: must be a whole number",
    ):
        assert [line for line in lines if line.startswith(message)], lines
    assert not [line for line in lines if line.startswith("Traceback")]


def test_a_key_that_is_there_twice_is_refused_in_one_line(finished_project: Project):
    lines = finished_project.config.read_text().splitlines()
    first = lines.index("training:") + 1
    try:
        finished_project.config.write_text("\n".join([*lines, "training: {steps: 5}"]))
        outcome = finished_project.snakemake("--cores", "1")
    finally:
        finished_project.configure(EXPERIMENT)
    assert outcome.returncode != 0
    assert (
        f"\ntiny.yaml: training: appears twice, in lines {first} and {len(lines) + 1}; "
        "remove or rename one\n"
    ) in outcome.stdout + outcome.stderr


def test_a_task_in_the_home_folder_is_found_and_the_folder_not_shown(
    finished_project: Project, monkeypatch
):
    monkeypatch.setenv("HOME", str(finished_project.folder))
    experiment = copy.deepcopy(EXPERIMENT)
    experiment["tasks"]["echo"]["data"]["source"] = "~/echo.jsonl"
    finished_project.configure(experiment)
    try:
        outcome = finished_project.snakemake("--dry-run", "--cores", "1", "--quiet", "host")
    finally:
        finished_project.configure(EXPERIMENT)
    output = outcome.stdout + outcome.stderr
    assert outcome.returncode == 0, output
    # it is the file that the task was made of, under the name that it had
    reason = re.search(r"^Job \d+: make task echo\nReason: (.*)", output, re.M)
    assert reason
    assert "Params have changed" in reason[1]
    assert "input files has changed" not in reason[1]
    assert str(finished_project.folder) not in output


def run_bad(project: Project, experiment, *targets: str) -> str:
    """What Snakemake prints when a job of this experiment refuses its input."""
    experiment["experiment"] = "bad"
    project.configure(experiment)
    try:
        outcome = project.snakemake("--cores", "2", *targets)
    finally:
        project.configure(EXPERIMENT)
    assert outcome.returncode != 0
    return outcome.stdout + outcome.stderr


@pytest.fixture(scope="module")
def refusing(finished_project: Project) -> tuple[Project, str]:
    """A project whose every input is bad in another way, and what Snakemake printed of it."""
    experiment = copy.deepcopy(EXPERIMENT) | {"experiment": "bad"}
    for key in ("conditions", "transfer", "teachers", "training", "comparisons", "representations"):
        del experiment[key]
    tasks = experiment["tasks"]
    tasks |= {name: copy.deepcopy(tasks["echo"]) for name in ("lacking", "unmatched", "long")}
    tasks["lacking"]["data"]["source"] = "bad.jsonl"
    (finished_project.folder / "bad.jsonl").write_text('{"question": "cat"}\n')
    tasks["unmatched"]["scoring"]["scorer"] = "number"
    tasks["long"]["prompt"] = {"question": "{question} " + "long " * 600 + "?"}
    experiment["models"]["empty"] = {"source": "no-model"}
    (finished_project.folder / "no-model").mkdir()
    return finished_project, run_bad(
        finished_project,
        experiment,
        "--keep-going",
        "--",
        "results/bad/tasks/lacking/manifest.json",
        "results/bad/tasks/unmatched/manifest.json",
        "results/bad/tiny/long/icl/0-shot/completions.parquet",
        "resources/models/empty/manifest.json",
    )


def test_a_task_file_with_a_missing_field_is_named_with_its_row(refusing):
    project, output = refusing
    assert re.search(r"error: bad\.jsonl.*answer", output)
    assert "logs/make_task/lacking.log" in output
    assert not list(project.folder.glob("results/bad/tasks/lacking/*"))


def test_an_answer_that_its_scorer_cannot_match_is_named_before_anything_runs(refusing):
    project, output = refusing
    assert re.search(r"error: \w+: item row-\d+: no completion can match the answer '\w+'", output)
    assert not list(project.folder.glob("results/bad/tasks/unmatched/[!.]*"))


def test_a_folder_that_is_no_model_is_refused_and_leaves_nothing(refusing):
    project, output = refusing
    assert "error: no-model" in output
    assert not list(project.folder.glob("resources/models/empty/*"))


def test_an_example_longer_than_the_context_is_counted_and_named(refusing):
    _, output = refusing
    assert "16 of 16 items exceed the context window of 512 tokens" in output


def test_a_fetched_model_that_cannot_show_what_is_asked_is_refused_when_planned(
    finished_project: Project,
):
    manifest = finished_project.folder / "resources/models/tiny/manifest.json"
    fetched = manifest.read_text()
    reason = "the chat template leaves out the question of demonstration 1"
    save(json.loads(fetched) | {"refused_features": {"demonstrations": reason}}, manifest)
    try:
        output = run_bad(finished_project, copy.deepcopy(EXPERIMENT), "--dry-run")
    finally:
        save(fetched, manifest)
    assert (
        f"shots: does not fit model tiny: {reason}; evaluate it without them: `shots: [0]`"
        in output
    )


# --- before the first job -----------------------------------------------------------------


def refused(project: Project, experiment, *arguments: str) -> str:
    """The line with which Snakemake refuses to start any job."""
    output = run_bad(project, experiment, *arguments)
    assert "Traceback" not in output
    assert "Finished jobid" not in output
    lines = output.splitlines()
    return lines[lines.index("nothing was started") + 1]


def test_more_gpus_than_this_machine_has_are_refused_before_any_job(
    finished_project: Project, monkeypatch
):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "fake0,fake1")
    experiment = copy.deepcopy(EXPERIMENT)
    experiment["models"]["tiny"]["resources"] = {"evaluation": {"gpu": 3}}
    assert refused(finished_project, experiment).startswith(
        "models.tiny.resources.evaluation.gpu: each job asks for 3 GPUs, but this machine offers 2"
    )


@pytest.mark.skipif(find_spec("trackio") is not None, reason="trackio is installed here")
def test_a_tracker_that_is_not_installed_is_refused_before_any_job(finished_project: Project):
    experiment = copy.deepcopy(EXPERIMENT) | {"report_to": ["trackio"]}
    assert refused(finished_project, experiment) == (
        "report_to: trackio needs the package trackio, which is not installed; run "
        "`python -m pip install trackio`, or remove trackio"
    )


def test_more_gpus_than_there_are_for_a_teachers_answers_are_told_by_their_stage(
    finished_project: Project, monkeypatch
):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "fake0,fake1")
    experiment = copy.deepcopy(EXPERIMENT)
    experiment["resources"] = {"icl_gap": {"gpu": 3}}
    experiment["conditions"]["answers"] = {
        "teacher": "few-shot",
        "answers": "teacher",
        "tasks": ["echo"],
        "terms": [{"objective": "cross_entropy"}],
    }
    answers = "results/bad/tiny/echo/answers/few-shot/greedy/train/answers.parquet"
    assert refused(finished_project, experiment, answers).startswith(
        "resources.icl_gap.gpu: each job asks for 3 GPUs, but this machine offers 2"
    )


def test_a_folder_of_results_that_cannot_be_written_is_refused_before_any_job(
    finished_project: Project,
):
    experiment = copy.deepcopy(EXPERIMENT)
    experiment["results"] = "/sys/results"
    assert refused(finished_project, experiment).startswith("/sys/results/bad: cannot be written")


def test_two_that_share_a_folder_of_results_do_not_work_at_once(finished_project: Project):
    lock = claim(finished_project.folder / "results/bad")
    try:
        line = refused(finished_project, copy.deepcopy(EXPERIMENT))
        assert finished_project.snakemake("--dry-run", "--cores", "1").returncode == 0
    finally:
        lock.release()
    assert line.startswith(f"results/bad: another Snakemake works here (process {os.getpid()} on")


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Programs that answer as those of a cluster without default partition and accounting do."""
    disabled = "echo Slurm accounting storage is disabled >&2; exit 1"
    answers = {"sinfo": "echo gpu", "sacct": disabled, "squeue": "", "scontrol": "", "sbatch": ""}
    for program, answer in answers.items():
        (tmp_path / program).write_text(f"#!/bin/sh\n{answer}\n")
        (tmp_path / program).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return "--executor", "slurm", "--jobs", "1"


def test_a_profile_without_a_partition_is_refused_before_any_job(finished_project, slurm):
    line = refused(finished_project, copy.deepcopy(EXPERIMENT), *slurm)
    assert line.startswith("the cluster has no default partition; name one in the profile under")


def test_a_cluster_without_accounting_is_refused_before_any_job(finished_project, slurm):
    partition = ("--default-resources", "slurm_partition=gpu")
    line = refused(finished_project, copy.deepcopy(EXPERIMENT), *slurm, *partition)
    assert line.endswith("set `slurm-status-command: squeue` in the profile")
