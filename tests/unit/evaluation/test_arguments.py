from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest
from workflow_scripts.evaluation.arguments import state_of

from workflow_scripts.runtime.errors import InputError

PROGRAM = "evaluation.complete_base"


@pytest.fixture
def arguments(tmp_path: Path) -> Namespace:
    test = tmp_path / "test.parquet"
    test.write_text("items")
    output, cost = tmp_path / "completions.parquet", tmp_path / "inference.json"
    return Namespace(settings="{}", test=test, output=output, cost=cost)


@pytest.fixture
def left(arguments) -> Path:
    """The state of a program that failed."""

    def fail() -> None:
        with state_of(arguments, PROGRAM) as state:
            (state / "answers").write_text("some")
            raise InputError("no network")

    with pytest.raises(InputError):
        fail()
    (answers,) = arguments.output.parent.rglob("answers")
    return answers.parent


def test_the_state_of_a_failed_program_is_found_again(left, arguments):
    with state_of(arguments, PROGRAM) as state:
        assert state == left
        assert (state / "answers").read_text() == "some"


def test_a_state_is_removed_at_success(left, arguments):
    with state_of(arguments, PROGRAM):
        pass
    assert list(arguments.output.parent.iterdir()) == [arguments.test]


def test_another_content_of_an_input_is_another_state(left, arguments):
    arguments.test.write_text("others")
    with state_of(arguments, PROGRAM) as state:
        assert state != left
