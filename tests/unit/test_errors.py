"""Errors reach a person as one line, and nobody's home folder with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from workflow_scripts.errors import InputError, run_entry_point, without_home


def refuse() -> None:
    raise InputError(f"{Path.home()}/task.jsonl: row 3 has no answer")


def test_bad_input_is_one_line_and_status_2(capsys):
    with pytest.raises(SystemExit) as stopped:
        run_entry_point(refuse)
    assert stopped.value.code == 2
    assert capsys.readouterr().err == "error: ~/task.jsonl: row 3 has no answer\n"


def test_a_home_at_the_root_hides_nothing(monkeypatch):
    monkeypatch.setenv("HOME", "/")
    assert without_home("/data/task.jsonl") == "/data/task.jsonl"


def test_other_errors_keep_their_traceback():
    with pytest.raises(ZeroDivisionError):
        run_entry_point(lambda: 1 / 0)
