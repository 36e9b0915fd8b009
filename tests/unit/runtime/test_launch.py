"""How jobs are started: interpreter, package, devices, processes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.launch import (
    SUBMITTED,
    assign_devices,
    command_of,
    expose_to_jobs,
    in_turn,
    program,
    share_threads,
)

ROOT = Path(__file__).parents[3]


def test_a_command_names_the_module():
    assert command_of("training.train").endswith(" exec python -m workflow_scripts.training.train")


def test_a_command_gives_tokenizers_as_many_threads_as_snakemake_gives_the_job(tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho $RAYON_NUM_THREADS $$\n")
    python.chmod(0o755)
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    shell = subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", command_of("training.train")],
        env=os.environ | {"PATH": path, "OMP_NUM_THREADS": "3", "RAYON_NUM_THREADS": "64"},
        stdout=subprocess.PIPE,
        text=True,
    )
    told, _ = shell.communicate()
    assert told.split() == ["3", str(shell.pid)]


def test_an_item_of_a_rule_is_an_argument_of_its_name():
    command = program("search.search", params="settings", input="model teacher_models", output="a")
    assert command == (
        f"{command_of('search.search')} --settings {{params.settings:q}} --model {{input.model:q}}"
        " --teacher-models {input.teacher_models:q} --a {output.a:q} > {log:q} 2>&1"
    )


def test_words_are_flags_and_values_already():
    command = program("tables.{wildcards.table}", words="settings arguments")
    assert command == (
        f"{command_of('tables.{wildcards.table}')} {{params.settings:q}} {{params.arguments:q}}"
        " > {log:q} 2>&1"
    )


def test_a_program_with_devices_leaves_their_number_to_snakemake():
    assert command_of("evaluation.complete_run", gpu=True) == (
        f"{command_of('runtime.launch')} --gpu {{resources.gpu}}"
        " workflow_scripts.evaluation.complete_run"
    )


def test_a_training_has_a_process_for_each_device():
    words = program("training.train", process_per_gpu=True).split()
    assert words[words.index("{resources.gpu}") + 1 :][:2] == [
        "--process-per-gpu",
        "workflow_scripts.training.train",
    ]


def test_the_module_that_starts_programs_is_there():
    command = program("training.train", gpu=True).split()
    assert find_spec(command[command.index("-m") + 1]) is not None


@pytest.mark.parametrize(("status", "printed"), [(0, "one\ntwo\n"), (3, "one\n")])
def test_programs_in_turn_print_to_one_log_and_the_first_failure_ends_them(
    status, printed, tmp_path
):
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\ncase $2 in *one) echo one; exit {status};; *) echo two; esac\n")
    python.chmod(0o755)
    command = in_turn(program("tasks.one"), program("tasks.two"))
    shell = command.replace("{log:q}", str(tmp_path / "log"))
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "OMP_NUM_THREADS": "1"}
    assert subprocess.run(["bash", "-euc", shell], env=environment).returncode == status
    assert (tmp_path / "log").read_text() == printed


def test_python_is_this_interpreter_and_the_package_is_found(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    expose_to_jobs(tmp_path, starts_jobs=False, submitted=False)
    first, *others = os.environ["PATH"].split(os.pathsep)
    assert Path(first) == Path(sys.executable).parent
    assert others == ["/usr/bin"]
    assert os.environ["PYTHONPATH"] == str(tmp_path)


def test_what_pythonpath_held_is_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    expose_to_jobs(tmp_path, starts_jobs=False, submitted=False)
    assert os.environ["PYTHONPATH"] == os.pathsep.join([str(tmp_path), "/elsewhere"])


@pytest.mark.parametrize(("given", "policy"), [(None, "passive"), ("active", "active")])
def test_threads_of_jobs_wait_asleep_unless_the_user_says_otherwise(
    monkeypatch, tmp_path, given, policy
):
    monkeypatch.setenv("OMP_WAIT_POLICY", given or "")
    if given is None:
        monkeypatch.delenv("OMP_WAIT_POLICY")
    for name in ("PATH", "PYTHONPATH"):
        monkeypatch.setenv(name, "/elsewhere")
    expose_to_jobs(tmp_path, starts_jobs=False, submitted=False)
    assert os.environ["OMP_WAIT_POLICY"] == policy


# --- devices and processes --------------------------------------------------------------------


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine with three free devices."""
    return {"CUDA_VISIBLE_DEVICES": ",".join(f"{tmp_path}/{number}" for number in range(3))}


def test_a_job_sees_the_devices_that_it_leased(environment, tmp_path):
    assign_devices(2, environment)
    assert environment["CUDA_VISIBLE_DEVICES"] == f"{tmp_path}/0,{tmp_path}/1"


def test_a_job_that_asks_for_no_device_sees_none(environment):
    assign_devices(0, environment)
    assert environment["CUDA_VISIBLE_DEVICES"] == ""


@pytest.mark.parametrize("count", [0, 1, 3])
def test_what_a_scheduler_assigned_is_left_alone(environment, count, capsys):
    environment[SUBMITTED] = "1"
    assigned = environment["CUDA_VISIBLE_DEVICES"]
    assign_devices(count, environment)
    assert environment["CUDA_VISIBLE_DEVICES"] == assigned
    assert "assigned by the scheduler" in capsys.readouterr().out


def test_fewer_devices_from_the_scheduler_than_asked_for_are_refused(environment, tmp_path):
    first = re.escape(f"asks for 4 GPUs, but the scheduler assigned '{tmp_path}/0,")
    with pytest.raises(InputError, match=first):
        assign_devices(4, environment | {SUBMITTED: "1"})


def test_a_submitted_job_without_devices_sees_none():
    environment = {SUBMITTED: "1"}
    assign_devices(0, environment)
    assert environment["CUDA_VISIBLE_DEVICES"] == ""


def test_processes_share_the_threads_of_the_job():
    environment = {"OMP_NUM_THREADS": "8"}
    share_threads(3, environment)
    assert environment == {"OMP_NUM_THREADS": "2", "RAYON_NUM_THREADS": "2"}


def test_the_program_takes_the_launchers_place(tmp_path):
    """Its exit status is the job's, and a signal to the job is one to the program."""
    (tmp_path / "program.py").write_text(
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        "print(os.getpid(), flush=True)\n"
        "time.sleep(60)\n"
    )
    job = subprocess.Popen(
        [sys.executable, "-m", "workflow_scripts.runtime.launch", "--gpu", "0", "program"],
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{tmp_path}"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert job.stdout is not None
    assert [job.stdout.readline(), int(job.stdout.readline())][1] == job.pid
    job.terminate()
    assert job.wait(30) == 7
