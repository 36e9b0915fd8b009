from __future__ import annotations

import resource
from pathlib import Path

import pytest

from workflow_scripts.engines.journal import AnswerJournal
from workflow_scripts.runtime.errors import InputError


def test_a_half_written_answer_is_forgotten(tmp_path: Path):
    path = tmp_path / "answers.jsonl"
    journal = AnswerJournal(path)
    journal.add("a", "first\nline")
    journal.add("b", [0.5])
    journal.close()
    path.write_bytes(path.read_bytes()[:-3])
    journal = AnswerJournal(path)
    assert "b" not in journal
    journal.add("c", "ä")
    journal.close()
    again = AnswerJournal(path)
    assert [again["a"], again["c"]] == ["first\nline", "ä"]
    again.close()


@pytest.mark.parametrize("place", [2, 12, 25, -2])
def test_a_damaged_answer_is_told_and_forgotten(tmp_path: Path, capsys, place: int):
    path = tmp_path / "answers.jsonl"
    journal = AnswerJournal(path)
    journal.add("a", "cats")
    journal.close()
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    journal = AnswerJournal(path)
    assert "a" not in journal
    assert f"{path}: 1 answers are damaged and asked for again" in capsys.readouterr().out
    journal.add("a", "dogs")
    journal.close()
    again = AnswerJournal(path)
    assert again["a"] == "dogs"
    again.close()


@pytest.mark.parametrize("content", [b"[]\n", b"\n", b"null\n\xff\n", b'{"key": "a"}\n'])
def test_lines_that_are_no_answers_are_forgotten(tmp_path: Path, content: bytes):
    path = tmp_path / "answers.jsonl"
    path.write_bytes(content)
    AnswerJournal(path).close()
    assert path.read_bytes() == b""


def test_a_journal_that_cannot_grow_is_named_and_keeps_what_it_has(tmp_path: Path):
    path = tmp_path / "answers.jsonl"
    journal = AnswerJournal(path)
    journal.add("a", "short")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(InputError, match=r"answers\.jsonl: "):
            journal.add("b", "long" * 100)
        with pytest.raises(InputError, match=r"answers\.jsonl: "):
            journal.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    again = AnswerJournal(path)
    assert "a" in again
    assert "b" not in again
    again.close()
