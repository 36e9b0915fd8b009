"""Rounds of a student on its own answers: jobs that go on from each other."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.outputs import visible
from tests.unit.training.conftest import TERMS, in_phases, phase_slice, run_slice
from workflow_scripts.config.training import LoraSettings
from workflow_scripts.evaluation.checkpoints import read_checkpoints
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import read_json, write_json
from workflow_scripts.tasks.examples import write_examples
from workflow_scripts.teachers.targets import teacher_target_name
from workflow_scripts.training import run as run_module
from workflow_scripts.training import train, train_round

ROUNDS = 3
# dropout draws random numbers at every step
SETTINGS = in_phases(
    run_slice(
        adapter=LoraSettings(rank=4, alpha=8, dropout=0.2),
        steps=9,
        checkpoints=[2, 6, 9],
        micro_batch_size=2,
    ),
    *[phase_slice((TERMS[2],), 3, author="student")] * ROUNDS,
)


@pytest.fixture(scope="module")
def given(model_manifest, manifests, examples, tmp_path_factory):
    """The inputs of a number of phases on the same data."""
    path = tmp_path_factory.mktemp("tasks") / "examples.parquet"
    write_examples(path, examples)
    (read,) = SETTINGS.phases[0].reads

    def of(phases: int) -> dict[str, object]:
        return {
            "model": model_manifest,
            "examples": [path] * phases,
            "targets": [manifests[teacher_target_name(read)]] * phases,
            "teacher_models": [model_manifest] * phases,
        }

    return of


@pytest.fixture(scope="module")
def whole(given, tmp_path_factory) -> Path:
    """One run of all phases."""
    folder = tmp_path_factory.mktemp("whole")
    train.main(SETTINGS, **given(ROUNDS), run=folder)
    return folder


@pytest.fixture
def train_rounds(given, tmp_path):
    """Trains rounds one after another, each in its own folder. Returns the folders."""

    def trained(*numbers: int) -> list[Path]:
        folders = [tmp_path / str(number) for number in range(ROUNDS)]
        for number in numbers:
            train_round.main(
                SETTINGS,
                number,
                **given(1),
                run=folders[number],
                earlier=folders[number - 1] / "checkpoints/manifest.json" if number else None,
            )
        return folders

    return trained


def results(folder: Path) -> dict[str, bytes]:
    """What later rules read, without what the run has cost."""
    files = [path for path in (folder / "checkpoints").rglob("*") if path.is_file()]
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in [*files, folder / "training_log.csv"]
    }


def test_rounds_end_as_one_run_of_their_phases(train_rounds, whole):
    folders = train_rounds(0, 1, 2)
    assert results(folders[-1]) == results(whole)


def test_the_last_round_leaves_what_a_run_leaves(train_rounds, whole):
    folders = train_rounds(0, 1, 2)
    assert visible(folders[-1]) == visible(whole)
    costs = [read_json(folder / "cost.json") for folder in (*folders, whole)]
    assert costs[2]["tokens"] == costs[3]["tokens"] > costs[1]["tokens"] > costs[0]["tokens"]
    assert costs[2]["wall_seconds"] > costs[1]["wall_seconds"] > costs[0]["wall_seconds"]


def test_a_round_leaves_the_weights_that_answer_next_and_the_state_that_goes_on(train_rounds):
    first, second, _ = train_rounds(0, 1)
    manifests = [read_json(folder / "checkpoints/manifest.json") for folder in (first, second)]
    assert [manifest["steps"] for manifest in manifests] == [[2, 3], [2, 6]]
    assert [manifest["state"]["step"] for manifest in manifests] == [3, 6]
    names = {Path(name).name for name in manifests[0]["state"]["files"]}
    assert {"optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json"} <= names
    assert "training_args.bin" not in names
    assert list(pd.read_csv(second / "training_log.csv")["step"]) == [1, 2, 3, 4, 5, 6]
    assert read_checkpoints(second / "checkpoints/manifest.json", [6])[6].name == "step-6"
    assert not (second / ".resume").exists()


@pytest.mark.parametrize("step", [4, 5, 6])
def test_a_round_that_was_killed_ends_as_if_it_never_was(train_rounds, whole, monkeypatch, step):
    ended = run_module.SaveStates.on_step_end

    def end_and_die(self, args, state, control, **kwargs):
        if state.global_step == step:
            raise KeyboardInterrupt
        ended(self, args, state, control, **kwargs)

    train_rounds(0)
    with monkeypatch.context() as patch:
        patch.setattr(run_module.SaveStates, "on_step_end", end_and_die)
        with pytest.raises(KeyboardInterrupt):
            train_rounds(1)
    folders = train_rounds(1, 2)
    assert results(folders[-1]) == results(whole)


def test_a_round_that_was_killed_before_its_outputs_writes_them(train_rounds, whole, monkeypatch):
    def die(*arguments):
        raise KeyboardInterrupt

    train_rounds(0)
    with monkeypatch.context() as patch:
        patch.setattr(run_module, "_write_outputs", die)
        with pytest.raises(KeyboardInterrupt):
            train_rounds(1)
    folders = train_rounds(1, 2)
    assert results(folders[-1]) == results(whole)


def test_a_damaged_state_of_the_round_before_is_refused(train_rounds):
    first, *_ = train_rounds(0)
    state = first / "checkpoints/state/optimizer.pt"
    state.write_bytes(state.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"state/optimizer.pt: missing or damaged; delete .*"):
        train_rounds(1)


def test_a_round_after_another_number_of_processes_is_refused(train_rounds):
    first, *_ = train_rounds(0)
    manifest = first / "checkpoints/manifest.json"
    content = read_json(manifest)
    content["state"]["processes"] = 2
    write_json(manifest, content)
    with pytest.raises(InputError, match="trained by 2 processes, but this job has 1"):
        train_rounds(1)


def test_a_finished_run_hands_no_state_over(train_rounds):
    folders = train_rounds(0, 1, 2)
    shutil.copytree(folders[2] / "checkpoints", folders[0] / "checkpoints", dirs_exist_ok=True)
    with pytest.raises(InputError, match="holds no state to continue from"):
        train_rounds(1)


def test_a_checkpoint_that_the_round_before_has_no_more_is_left_out(given, train_rounds, tmp_path):
    """The plan asks for all that lie on disk, of which some were asked for before alone."""
    train_rounds(0, 1)
    more = SETTINGS.training.model_copy(update={"checkpoints": (1, 2, 6, 8, 9)})
    train_round.main(
        SETTINGS.model_copy(update={"training": more}),
        2,
        **given(1),
        run=tmp_path / "2",
        earlier=tmp_path / "1/checkpoints/manifest.json",
    )
    assert read_json(tmp_path / "2/checkpoints/manifest.json")["steps"] == [2, 6, 8, 9]


@pytest.mark.parametrize(
    ("round", "files", "has_earlier", "message"),
    [
        (3, 1, True, "--round: no round 3; the run has 0 to 2"),
        (0, 2, False, "--examples: 2 files, but a round trains on one"),
        (0, 1, True, "--earlier: round 0 follows none; leave it out"),
        (1, 1, False, "--earlier: round 1 needs the round before"),
    ],
)
def test_inputs_of_another_round_are_refused(given, tmp_path, round, files, has_earlier, message):
    with pytest.raises(InputError) as caught:
        train_round.main(
            SETTINGS,
            round,
            **given(files),
            run=tmp_path / "run",
            earlier=tmp_path / "manifest.json" if has_earlier else None,
        )
    assert str(caught.value) == message
