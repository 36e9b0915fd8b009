"""Jobs find this interpreter and the package."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from workflow_scripts.launch import command_of, expose_to_jobs


def test_a_command_names_the_module():
    assert command_of("training.train") == "python -m workflow_scripts.training.train"


def test_python_is_this_interpreter_and_the_package_is_found(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    expose_to_jobs(tmp_path)
    first, *others = os.environ["PATH"].split(os.pathsep)
    assert Path(first) == Path(sys.executable).parent
    assert others == ["/usr/bin"]
    assert os.environ["PYTHONPATH"] == str(tmp_path)


def test_what_pythonpath_held_is_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    expose_to_jobs(tmp_path)
    assert os.environ["PYTHONPATH"] == os.pathsep.join([str(tmp_path), "/elsewhere"])
