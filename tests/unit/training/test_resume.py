"""The folder from which a killed run continues belongs to one fingerprint."""

from __future__ import annotations

import pytest

from workflow_scripts.training.cost import Cost
from workflow_scripts.training.resume import ResumeState, fingerprint_of


@pytest.fixture
def state(tmp_path) -> ResumeState:
    return ResumeState.open(tmp_path / ".resume", "a")


def save(state: ResumeState, step: int, complete: bool = True) -> None:
    folder = state.trainer_folder / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    if complete:
        (folder / "trainer_state.json").write_text("{}")


def test_the_newest_complete_state_is_the_last_saved(state):
    save(state, 20)
    save(state, 100)
    save(state, 120, complete=False)
    assert state.last_saved().name == "checkpoint-100"


def test_a_fresh_run_has_no_saved_state(state):
    assert state.last_saved() is None
    assert state.cost_so_far() == Cost()


def test_the_same_fingerprint_finds_its_state_again(state):
    save(state, 20)
    assert ResumeState.open(state.folder, "a").last_saved() is not None


def test_another_fingerprint_discards_it_and_says_so(state, capsys):
    save(state, 20)
    assert ResumeState.open(state.folder, "b").last_saved() is None
    assert "starting afresh" in capsys.readouterr().out


def test_costs_are_kept_between_sessions(state):
    state.save_cost(Cost(wall_seconds=3.0))
    assert ResumeState.open(state.folder, "a").cost_so_far() == Cost(wall_seconds=3.0)


def test_fingerprint_follows_settings_and_file_contents(tmp_path):
    path = tmp_path / "train.parquet"
    path.write_text("one")
    first = fingerprint_of("{}", [path])
    assert fingerprint_of("{}", [path]) == first
    assert fingerprint_of('{"a": 1}', [path]) != first
    path.write_text("two")
    assert fingerprint_of("{}", [path]) != first
