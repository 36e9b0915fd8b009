"""Nobody's home folder in what others read, and other people's names left whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import expanded
from workflow_scripts.runtime.home import without_home


@pytest.fixture
def ann(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/ann/x", "~/x"),
        ("/home/ann", "~"),
        ("cannot open '/home/ann/x'", "cannot open '~/x'"),
        ("see /home/ann.", "see ~."),
        ("in /home/ann: full", "in ~: full"),
        ("/a:/home/ann/bin:/home/ann", "/a:~/bin:~"),
        ("--model=/home/ann/m", "--model=~/m"),
        ("file:///home/ann/x", "file://~/x"),
        (
            json.dumps({"a": "/home/ann/x", "b": "line\n/home/ann/y"}),
            '{"a": "~/x", "b": "line\\n~/y"}',
        ),
    ],
)
@pytest.mark.usefixtures("ann")
def test_the_home_folder_is_not_shown(text, shown):
    assert without_home(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "/home/anna/x",
        "/home/ann-old",
        "/home/ann.bak/x",
        "/mnt/home/ann/x",
        "x/home/ann",
        "/home/annétte",
    ],
)
@pytest.mark.usefixtures("ann")
def test_a_name_that_only_begins_or_ends_like_it_is_left_whole(text):
    assert without_home(text) == text


def test_a_home_is_not_shown_as_json_spells_it(monkeypatch):
    monkeypatch.setenv("HOME", "/home/josé")
    assert without_home(json.dumps(["/home/josé/x", "é"])) == '["~/x", "\\u00e9"]'


def test_a_home_behind_a_link_is_not_shown_under_either_name(tmp_path, monkeypatch):
    (tmp_path / "disk").mkdir()
    (tmp_path / "home").symlink_to(tmp_path / "disk")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert without_home(f"{tmp_path}/disk/x {tmp_path}/home/x") == "~/x ~/x"


@pytest.mark.parametrize("home", ["/", "", "."])
def test_a_home_that_is_no_folder_of_its_own_hides_nothing(monkeypatch, home):
    monkeypatch.setenv("HOME", home)
    assert without_home("/data/task.jsonl") == "/data/task.jsonl"


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without HOME and without an entry in the password file."""
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("os.getuid", lambda: 61003)


@pytest.mark.usefixtures("nobody")
def test_without_a_home_nothing_is_hidden():
    assert without_home("/data/task.jsonl") == "/data/task.jsonl"


@pytest.mark.usefixtures("nobody")
def test_without_a_home_a_tilde_is_refused():
    assert expanded("data/x") == Path("data/x")
    with pytest.raises(InputError, match=r"^~/x: `~` is not known, as HOME is not set"):
        expanded("~/x")
