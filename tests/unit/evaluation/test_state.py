"""The state of a program that completes items: kept when it fails, removed when it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.outputs import save, visible
from tests.unit.evaluation.conftest import SETTINGS
from workflow_scripts.config.slices import CompletionSlice
from workflow_scripts.evaluation.state import state_of
from workflow_scripts.runtime.errors import InputError


@pytest.fixture
def items(tmp_path: Path) -> Path:
    return save("items", tmp_path / "test.parquet")


@pytest.fixture
def state(items, tmp_path: Path):
    """The state of one program that reads the items."""

    def opened(settings: CompletionSlice = SETTINGS):
        completions = tmp_path / "completions.parquet"
        return state_of(completions, settings, [items], "evaluation.complete_base")

    return opened


@pytest.fixture
def left(state, tmp_path: Path) -> Path:
    """The state of a program that failed."""

    def fail() -> None:
        with state() as folder:
            (folder / "answers").write_text("some")
            raise InputError("no network")

    with pytest.raises(InputError):
        fail()
    (answers,) = tmp_path.rglob("answers")
    return answers.parent


def test_the_state_of_a_failed_program_is_found_again(left, state):
    with state() as folder:
        assert folder == left
        assert (folder / "answers").read_text() == "some"


def test_a_state_is_removed_at_success(left, state, items, tmp_path):
    with state():
        pass
    assert visible(tmp_path) == {items.name}


def test_another_content_of_an_input_is_another_state(left, state, items):
    save("others", items)
    with state() as folder:
        assert folder != left


def test_other_settings_are_another_state(left, state):
    with state(SETTINGS.model_copy(update={"labels": None})) as folder:
        assert folder != left
