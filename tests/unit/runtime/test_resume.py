"""The folder of an interrupted job belongs to its settings, inputs and code."""

from __future__ import annotations

import pytest

from tests.outputs import save
from workflow_scripts.runtime import resume
from workflow_scripts.runtime.resume import discard_states, fingerprint_of, open_state

ENTRY = "tables.gather"


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table.csv"
    save("one", path)
    return path


def test_the_fingerprint_is_the_same_for_the_same_job(table):
    assert fingerprint_of("{}", [table], ENTRY) == fingerprint_of("{}", [table], ENTRY)


def test_settings_and_the_contents_of_inputs_change_it(table):
    first = fingerprint_of("{}", [table], ENTRY)
    assert fingerprint_of('{"a": 1}', [table], ENTRY) != first
    save("two", table)
    assert fingerprint_of("{}", [table], ENTRY) != first


def test_the_code_that_runs_changes_it(table, tmp_path, monkeypatch):
    code = tmp_path / "gather.py"
    code.write_text("pass")
    monkeypatch.setattr(resume, "source_files", lambda root, module: [code])
    first = fingerprint_of("{}", [table], ENTRY)
    code.write_text("...")
    assert fingerprint_of("{}", [table], ENTRY) != first


@pytest.mark.parametrize("library", ["torch", "transformers", "peft", "accelerate"])
def test_the_version_of_what_computes_changes_it(table, monkeypatch, library):
    first = fingerprint_of("{}", [table], ENTRY)
    version = resume.version
    monkeypatch.setattr(resume, "version", lambda name: version(name) + "x" * (name == library))
    assert fingerprint_of("{}", [table], ENTRY) != first


def test_a_state_is_found_again(tmp_path, capsys):
    state = open_state(tmp_path / ".resume", "a" * 64)
    (state / "file").touch()
    assert open_state(tmp_path / ".resume", "a" * 64) == state
    assert (state / "file").exists()
    assert capsys.readouterr().out == ""


def test_a_state_of_other_settings_is_refused_with_a_line_and_stays(tmp_path, capsys):
    other = open_state(tmp_path / ".resume", "a" * 64)
    state = open_state(tmp_path / ".resume", "b" * 64)
    assert not any(state.iterdir())
    told = capsys.readouterr().out
    assert told.startswith(f"{other}: not resumed, left by other settings, inputs or code")
    assert told.count("\n") == 1
    assert other.exists()


def test_a_finished_job_leaves_nothing(tmp_path):
    for fingerprint in ("a" * 64, "b" * 64):
        open_state(tmp_path / ".resume", fingerprint)
    discard_states(tmp_path / ".resume")
    assert not any(tmp_path.iterdir())


def test_a_finished_job_can_leave_its_own_state(tmp_path):
    kept, _ = (open_state(tmp_path / ".resume", name * 64) for name in "ab")
    discard_states(tmp_path / ".resume", kept)
    assert list((tmp_path / ".resume").iterdir()) == [kept]
