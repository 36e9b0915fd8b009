"""Errors reach a person as one line, and nobody's home folder with them."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from workflow_scripts.runtime.errors import (
    InputError,
    Stopped,
    run_entry_point,
    writing,
)


def refuse() -> None:
    raise InputError(f"{Path.home()}/task.jsonl: row 3 has no answer")


def test_bad_input_is_one_line_and_status_2(capsys):
    with pytest.raises(SystemExit) as stopped:
        run_entry_point(refuse)
    assert stopped.value.code == 2
    assert capsys.readouterr().err == "error: ~/task.jsonl: row 3 has no answer\n"


def test_other_errors_keep_their_traceback():
    with pytest.raises(ZeroDivisionError):
        run_entry_point(lambda: 1 / 0)


def stop() -> None:
    raise Stopped("stopped after step 3 of 4; rerun to continue")


def test_a_stop_on_request_is_one_line_and_the_status_of_a_sigterm(capsys):
    with pytest.raises(SystemExit) as stopped:
        run_entry_point(stop)
    assert stopped.value.code == 143
    assert capsys.readouterr().err == "stopped after step 3 of 4; rerun to continue\n"


def fail_to_write(code: int, path: Path | None = None) -> None:
    raise OSError(code, os.strerror(code), path and str(path))


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (errno.ENOSPC, "the disk is full; free space and rerun, what is finished is kept"),
        (errno.EDQUOT, "the disk quota is used up; free space and rerun"),
        (errno.EROFS, "the file system is read-only; make it writable and rerun"),
        (errno.EACCES, "permission denied; allow this user to read and write here and rerun"),
    ],
)
def test_a_file_that_cannot_be_written_is_one_line_and_status_2(capsys, code, reason):
    with pytest.raises(SystemExit) as stopped:
        run_entry_point(lambda: fail_to_write(code, Path.home() / "results/a.csv"))
    assert stopped.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith(f"error: ~/results/a.csv: {reason}")
    assert told.count("\n") == 1


def test_an_error_without_a_file_names_what_was_being_written(tmp_path):
    with pytest.raises(InputError, match=f"^{tmp_path}: the disk is full"), writing(tmp_path):
        fail_to_write(errno.ENOSPC)


@pytest.mark.parametrize("error", [FileNotFoundError(errno.ENOENT, "x"), RuntimeError("x")])
def test_an_error_that_is_not_of_the_disk_is_passed_on(error, tmp_path):
    with pytest.raises(type(error)) as passed, writing(tmp_path):
        raise error
    assert passed.value is error


def test_a_log_on_the_full_disk_hides_no_status():
    program = "from tests.unit.runtime.test_errors import *; run_entry_point(refuse)"
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run([sys.executable, "-c", program], stderr=full)
    assert ended.returncode == 2
