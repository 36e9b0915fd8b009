"""The entry point as a job runs it: killed, terminated, out of disk, and resumed."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from tests.disks import file_size_limit, small_disk
from tests.outputs import visible
from tests.unit.training.conftest import run_slice
from tests.warm_python import WarmPython
from workflow_scripts.config.slices import RunSlice
from workflow_scripts.config.training import LoraSettings
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.launch import distributed
from workflow_scripts.tasks.examples import Example, write_examples
from workflow_scripts.training import train
from workflow_scripts.training.run import train_run
from workflow_scripts.training.saved_states import ResumeState, identity_of
from workflow_scripts.training.targets import open_targets

ROOT = Path(__file__).parents[3]
# dropout draws random numbers at every step
DROPOUT = LoraSettings(rank=4, alpha=8, dropout=0.2)
PROGRAM = ("-m", "workflow_scripts.training.train")
# runs the entry point until it has touched its states this number of times
KILLED_AMONG_STATES = """
import os, runpy, signal, sys
left = int(sys.argv.pop(1))
def count(event, arguments):
    global left
    if event.startswith(("open", "os.", "shutil.")) and "/.resume/" in str(arguments[:1]):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(count)
runpy.run_module("workflow_scripts.training.train", run_name="__main__")
"""
# sends it SIGTERM, twice, in the middle of a step
TOLD_TWICE_IN_A_STEP = """
import os, runpy, signal, time
import torch
def told_twice(*arguments, **options):
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(600)
torch.optim.AdamW.step = told_twice
runpy.run_module("workflow_scripts.training.train", run_name="__main__")
"""


class Job:
    """The training of one run, as often as it takes."""

    def __init__(self, arguments: list[str], run: Path) -> None:
        self.run = run
        self._arguments = [*arguments, "--run", str(run)]

    def command(self, settings: RunSlice, program: tuple[str, ...] = PROGRAM) -> list[str]:
        given = ["--settings", settings.model_dump_json(), *self._arguments]
        return [sys.executable, *program, *given]

    def start(self, settings: RunSlice, program: tuple[str, ...] = PROGRAM) -> WarmPython:
        return WarmPython(self.command(settings, program)[1:])

    def start_cold(
        self, settings: RunSlice, program: tuple[str, ...] = PROGRAM
    ) -> subprocess.Popen[str]:
        """In a session of its own."""
        return subprocess.Popen(
            self.command(settings, program),
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def finish(self, settings: RunSlice, program: tuple[str, ...] = PROGRAM) -> str:
        """Runs to the end. Returns what it printed."""
        start = self.start_cold if program != PROGRAM else self.start
        process = start(settings, program)
        out, err = process.communicate()
        assert process.returncode == 0, err
        return out

    def last_saved(self) -> int:
        """The step of the newest whole state; 0 when there is none."""
        marks = self.run.glob(".resume/*/trainer/checkpoint-*/cost.json")
        return max((int(mark.parent.name.split("-")[1]) for mark in marks), default=0)

    def results(self) -> dict[str, bytes]:
        """What later rules read, without what the run has cost."""
        files = [path for path in (self.run / "checkpoints").rglob("*") if path.is_file()]
        return {
            str(path.relative_to(self.run)): path.read_bytes()
            for path in [*files, self.run / "training_log.csv"]
        }

    def names(self) -> set[str]:
        return visible(self.run)


@pytest.fixture(scope="session")
def job(
    model_manifest: Path,
    manifests: dict[str, Path],
    examples: list[Example],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[Path], Job]:
    """A job whose run lies in a folder."""
    path = tmp_path_factory.mktemp("tasks") / "train.parquet"
    write_examples(path, examples)
    arguments = [
        *("--model", str(model_manifest)),
        *("--examples", str(path)),
        *("--targets", *map(str, manifests.values())),
        *("--teacher-models", *[str(model_manifest)] * len(manifests)),
    ]
    return lambda run: Job(arguments, run)


def steps_in(lines: Iterator[str]) -> Iterator[int]:
    for line in lines:
        if found := re.match(r"step (\d+)/", line):
            yield int(found[1])


def interrupt(process: WarmPython, after: int = 1) -> list[int]:
    """SIGTERM after this number of steps. Returns all steps that the process printed."""
    steps = steps_in(process.stdout)
    told = [next(steps) for _ in range(after)]
    process.terminate()
    return told + list(steps)


def test_a_run_killed_at_ten_random_points_ends_as_if_it_never_was(job, tmp_path):
    settings = run_slice(
        adapter=DROPOUT, steps=150, checkpoints=[10, 50, 150], resume_every=3, micro_batch_size=2
    )
    whole, killed = job(tmp_path / "whole"), job(tmp_path / "killed")
    whole.finish(settings)
    points = random.Random(0)
    for how in points.sample(["kill", "terminate", "among states"], k=10, counts=[4, 3, 3]):
        saved = killed.last_saved()
        if how == "among states":
            touches = str(points.randrange(1, 60))
            process = killed.start(settings, program=("-c", KILLED_AMONG_STATES, touches))
            told = list(steps_in(process.stdout))
        else:
            process = killed.start(settings)
            steps = steps_in(process.stdout)
            told = [next(steps) for _ in range(points.randrange(1, 9))]
            getattr(process, how)()
        _, err = process.communicate()
        # it may be killed before its first step
        assert told[:1] in ([saved + 1], []), err
        if how == "terminate":
            line = f"stopped by SIGTERM after step {killed.last_saved()} of 150; rerun to continue"
            assert (process.returncode, err.splitlines()[-1]) == (143, line)
        else:
            assert process.returncode == -signal.SIGKILL, err
        assert "checkpoints" not in killed.names()
    assert 0 < killed.last_saved() < 150
    killed.finish(settings)
    assert killed.results() == whole.results()
    assert killed.names() == whole.names()


def test_a_second_sigterm_ends_a_run_at_once(job, tmp_path):
    """At the first it would go on to the end of a step that is too long to wait for."""
    process = job(tmp_path / "run").start(
        run_slice(steps=1000, checkpoints=[1000]), program=("-c", TOLD_TWICE_IN_A_STEP)
    )
    process.communicate()
    assert process.returncode == -signal.SIGTERM


SETTINGS = run_slice(
    adapter=DROPOUT, steps=40, checkpoints=[20, 40], resume_every=4, scheduler="constant"
)


@pytest.fixture(scope="session")
def whole(job: Callable[[Path], Job], tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A run that was never interrupted."""
    whole = job(tmp_path_factory.mktemp("runs") / "whole")
    whole.finish(SETTINGS)
    return whole


def test_a_run_on_a_full_disk_keeps_its_state_and_continues_when_there_is_space(
    job, whole, tmp_path
):
    with small_disk(tmp_path / "disk", "8m"):
        run = job(tmp_path / "disk/run")
        process = run.start(SETTINGS)
        interrupt(process)
        process.communicate()
        saved = run.last_saved()
        free = shutil.disk_usage(tmp_path / "disk").free
        (tmp_path / "disk/others").write_bytes(bytes(free - 40_000))
        process = run.start(SETTINGS)
        _, err = process.communicate()
        assert process.returncode == 2
        assert re.fullmatch(
            rf"error: {run.run}/\S+: (the disk is full|could not be written); free space .+",
            err.splitlines()[-1],
        )
        assert run.last_saved() == saved > 0
        assert "checkpoints" not in run.names()
        (tmp_path / "disk/others").unlink()
        assert next(steps_in(iter(run.finish(SETTINGS).splitlines()))) == saved + 1
        assert run.results() == whole.results()
        assert run.names() == whole.names()


def test_a_run_beyond_the_limit_of_a_file_is_reported_and_continues_without_it(
    job, whole, tmp_path
):
    run = job(tmp_path / "run")
    with file_size_limit(20_000):
        process = run.start_cold(SETTINGS)
    _, err = process.communicate()
    assert process.returncode == 2
    assert re.fullmatch(rf"error: {run.run}/\S+: .+ rerun.*", err.splitlines()[-1])
    run.finish(SETTINGS)
    assert run.results() == whole.results()
    assert run.names() == whole.names()


def test_a_run_in_a_read_only_folder_is_reported(job, tmp_path, monkeypatch, capsys):
    with small_disk(tmp_path / "disk", "1m"):
        subprocess.run(["mount", "-o", "remount,ro", str(tmp_path / "disk")], check=True)
        monkeypatch.setattr(sys, "argv", job(tmp_path / "disk/run").command(SETTINGS)[2:])
        with pytest.raises(SystemExit) as ended:
            run_program(train.main)
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert re.fullmatch(r"error: .+/disk/run.*: the file system is read-only; .+", told.strip())


def test_all_processes_of_a_run_stop_after_the_same_step(job, tmp_path):
    """Though a scheduler tells each, and the launcher tells them again."""
    program = tuple(distributed(list(PROGRAM), 2))
    whole, stopped = job(tmp_path / "whole"), job(tmp_path / "stopped")
    whole.finish(SETTINGS, program)
    process = stopped.start_cold(SETTINGS, program)
    next(steps_in(process.stdout))
    os.killpg(process.pid, signal.SIGTERM)
    _, err = process.communicate()
    saved = stopped.last_saved()
    assert 0 < saved < 40
    assert err.count(f"stopped by SIGTERM after step {saved} of 40; rerun to continue") == 1
    assert process.returncode != 0
    out = stopped.finish(SETTINGS, program)
    assert next(steps_in(iter(out.splitlines()))) == saved + 1
    assert stopped.results() == whole.results()


@pytest.fixture
def trained(model, model_manifest, examples, manifests, capsys):
    """Trains under some settings in a folder. Returns the steps that it took."""

    def run(settings: RunSlice, folder: Path) -> list[int]:
        teachers = [model_manifest] * len(manifests)
        targets = open_targets(settings, model_manifest, list(manifests.values()), teachers)
        state = ResumeState.open(
            folder / ".resume", sha256(identity_of(settings, 1).encode()).hexdigest()
        )
        capsys.readouterr()
        train_run(settings, model, [examples], targets, state, folder)
        return list(steps_in(iter(capsys.readouterr().out.splitlines())))

    return run


def extended(steps: int, *checkpoints: int, keep_state: bool = True) -> RunSlice:
    return run_slice(
        adapter=DROPOUT,
        steps=steps,
        checkpoints=checkpoints,
        scheduler="constant",
        keep_state=keep_state,
    )


def results(folder: Path) -> dict[str, bytes]:
    return Job([], folder).results()


def test_a_run_that_kept_its_state_becomes_longer_by_the_new_steps_alone(trained, tmp_path):
    assert trained(extended(4, 2, 4), tmp_path / "grown") == [1, 2, 3, 4]
    assert trained(extended(7, 2, 4, 7), tmp_path / "grown") == [5, 6, 7]
    trained(extended(7, 2, 4, 7, keep_state=False), tmp_path / "whole")
    assert results(tmp_path / "grown") == results(tmp_path / "whole")


def test_a_checkpoint_within_a_finished_run_is_added_from_an_older_state(trained, tmp_path):
    trained(extended(4, 4), tmp_path / "run")
    assert trained(extended(4, 3, 4), tmp_path / "run") == [3, 4]
    trained(extended(4, 3, 4), tmp_path / "whole")
    assert results(tmp_path / "run") == results(tmp_path / "whole")


def test_a_run_with_every_step_done_only_writes_its_outputs_again(trained, tmp_path):
    trained(extended(4, 2, 4), tmp_path)
    first = results(tmp_path)
    shutil.rmtree(tmp_path / "checkpoints")
    assert trained(extended(4, 2, 4), tmp_path) == []
    assert results(tmp_path) == first


def test_a_checkpoint_that_is_no_longer_wanted_is_not_in_the_outputs(trained, tmp_path):
    trained(extended(4, 2, 4), tmp_path)
    trained(extended(4, 4), tmp_path)
    assert visible(tmp_path / "checkpoints") == {
        "manifest.json",
        "step-4",
    }


def test_a_run_without_it_keeps_no_state(trained, tmp_path):
    trained(extended(4, 4, keep_state=False), tmp_path)
    assert not (tmp_path / ".resume").exists()


def test_states_are_saved_as_often_as_is_asked_now(trained, tmp_path):
    trained(extended(4, 4), tmp_path)
    seldom = extended(13, 4, 13)
    seldom = seldom.model_copy(
        update={"training": seldom.training.model_copy(update={"resume_every": 7})}
    )
    trained(seldom, tmp_path)
    assert {path.name for path in tmp_path.glob(".resume/*/trainer/[!.]*")} == {
        "checkpoint-7",
        "checkpoint-13",
    }
