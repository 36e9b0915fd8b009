"""From which state a run continues, and when states go."""

from __future__ import annotations

import json

import pytest

from tests.outputs import visible
from tests.unit.training.conftest import run_slice
from workflow_scripts.runtime.cost import Cost
from workflow_scripts.runtime.files import atomic_directory
from workflow_scripts.training.saved_states import ResumeState, identity_of


@pytest.fixture
def state(tmp_path) -> ResumeState:
    return ResumeState.open(tmp_path / ".resume", "a" * 64)


def save(state: ResumeState, step: int, whole: bool = True) -> None:
    folder = state.trainer_folder / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    (folder / "trainer_state.json").write_text("{}")
    if whole:
        state.mark_whole(step, Cost(wall_seconds=step))


def keep(state: ResumeState, *steps: int) -> None:
    for step in steps:
        with atomic_directory(state.checkpoints / f"step-{step}") as partial:
            (partial / "weights").touch()


def saved_step(state: ResumeState) -> int | None:
    saved = state.last_saved()
    return saved and int(saved.name.split("-")[1])


def test_the_newest_whole_state_is_the_last_saved(state):
    save(state, 20)
    save(state, 100)
    save(state, 120, whole=False)
    assert saved_step(state) == 100
    assert state.cost_so_far() == Cost(wall_seconds=100)


def test_a_fresh_run_has_no_saved_state(state):
    assert state.last_saved() is None
    assert state.cost_so_far() == Cost()


def test_the_two_newest_states_stay(state):
    for step in (2, 4, 10):
        save(state, step)
    names = visible(state.trainer_folder)
    assert names == {"checkpoint-4", "checkpoint-10"}


def test_the_same_fingerprint_finds_its_state_again(state):
    save(state, 20)
    again = ResumeState.open(state.folder.parent, "a" * 64)
    assert saved_step(again) == 20


def test_another_fingerprint_is_refused_and_left_alone(state, capsys):
    save(state, 20)
    assert ResumeState.open(state.folder.parent, "b" * 64).last_saved() is None
    assert "not resumed, left by other settings" in capsys.readouterr().out
    assert saved_step(state) == 20


def test_what_was_being_written_is_removed_before_the_next_start(state):
    save(state, 2)
    save(state, 4, whole=False)
    keep(state, 2)
    (state.checkpoints / ".step-4.partial-1").mkdir()
    state.keep_resumable(8, [2, 8])
    left = {path.name for path in state.folder.glob("*/[!.]*")}
    assert left == {"checkpoint-2", "step-2"}


@pytest.mark.parametrize(
    ("checkpoints", "continues", "reason"),
    [
        ([4, 8], 6, None),
        ([2, 4, 7, 8], 6, None),
        ([2, 5, 8], 4, "checkpoint-6: not resumed, checkpoint 5 lies before it"),
        ([3, 8], None, "checkpoint-4: not resumed, checkpoint 3 lies before it"),
    ],
)
def test_a_checkpoint_is_added_after_a_state_or_an_older_one_serves(
    state, capsys, checkpoints, continues, reason
):
    keep(state, 2, 4)
    save(state, 4)
    save(state, 6)
    state.keep_resumable(8, checkpoints)
    assert saved_step(state) == continues
    told = capsys.readouterr().out
    assert reason in told if reason else told == ""


def test_a_state_past_a_shorter_run_does_not_serve(state, capsys):
    keep(state, 2)
    save(state, 4)
    save(state, 6)
    state.keep_resumable(5, [2])
    assert saved_step(state) == 4
    assert "checkpoint-6: not resumed, the last step is now 5" in capsys.readouterr().out


def test_a_finished_run_leaves_no_state_of_any_settings(state):
    ResumeState.open(state.folder.parent, "b" * 64)
    state.finish(keep=False)
    assert not state.folder.parent.exists()


def test_a_finished_run_can_keep_its_own_state(state):
    save(state, 4)
    ResumeState.open(state.folder.parent, "b" * 64)
    state.finish(keep=True)
    assert list(state.folder.parent.iterdir()) == [state.folder]
    assert saved_step(state) == 4


def identity(processes: int = 1, **settings: object) -> str:
    return identity_of(run_slice(**settings), processes)


def test_what_is_kept_and_how_often_does_not_change_the_steps():
    kept = identity(checkpoints=[1, 4], resume_every=3, keep_state=True)
    assert kept == identity()


@pytest.mark.parametrize("scheduler", ["constant", "constant_with_warmup"])
def test_a_longer_run_of_a_constant_schedule_takes_the_same_steps(scheduler):
    assert identity(scheduler=scheduler, steps=8) == identity(scheduler=scheduler)


@pytest.mark.parametrize("scheduler", ["linear", "cosine"])
def test_a_longer_run_of_a_falling_schedule_takes_others(scheduler):
    assert identity(scheduler=scheduler, steps=8) != identity(scheduler=scheduler)


@pytest.mark.parametrize(
    "changed", [{"seed": 1}, {"learning_rate": 0.1}, {"micro_batch_size": 2}, {"processes": 2}]
)
def test_what_changes_the_steps_changes_the_identity(changed):
    assert identity(**changed) != identity()


def test_the_identity_is_json():
    assert json.loads(identity(processes=2))["processes"] == 2


def test_a_damaged_state_is_told_and_the_older_one_serves(state, capsys):
    keep(state, 2)
    save(state, 4)
    save(state, 6)
    (state.trainer_folder / "checkpoint-6" / "trainer_state.json").write_text("[]")
    state.keep_resumable(8, [2, 8])
    assert saved_step(state) == 4
    told = capsys.readouterr().out
    assert "checkpoint-6: not resumed, not as it was written, its checksum differs" in told


@pytest.mark.parametrize("content", [None, b""])
def test_a_state_with_a_file_that_is_gone_or_empty_is_not_resumed(state, content):
    save(state, 4)
    file = state.trainer_folder / "checkpoint-4" / "trainer_state.json"
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    state.keep_resumable(8, [8])
    assert saved_step(state) is None
    assert visible(state.trainer_folder) == set()


def test_states_after_a_damaged_checkpoint_are_not_resumed(state, capsys):
    keep(state, 2)
    save(state, 4)
    (state.checkpoints / "step-2" / "weights").write_bytes(b"other")
    state.keep_resumable(8, [2, 8])
    assert saved_step(state) is None
    told = capsys.readouterr().out
    assert "step-2: not used, not as it was written" in told
    assert "checkpoint-4: not resumed, checkpoint 2 lies before it and was not kept" in told
