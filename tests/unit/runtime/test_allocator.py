"""The memory allocator of jobs on the CPU."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from workflow_scripts.runtime import allocator
from workflow_scripts.runtime.allocator import preload_allocator
from workflow_scripts.runtime.launch import main


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """A Python environment with a tcmalloc of its own, as one of conda has."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/libtcmalloc_minimal.so.4").touch()
    return tmp_path


def test_the_library_of_the_environment_is_preloaded(prefix):
    environment = {"HOME": "/home/me"}
    library = preload_allocator(environment, prefix)
    assert library == str(prefix / "lib/libtcmalloc_minimal.so.4")
    assert environment == {"HOME": "/home/me", "LD_PRELOAD": library}


def test_the_library_of_the_system_is_preloaded_where_the_environment_has_none(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(allocator, "find_library", lambda name: f"lib{name}.so.4")
    environment: dict[str, str] = {}
    preload_allocator(environment, tmp_path)
    assert environment == {"LD_PRELOAD": "libtcmalloc_minimal.so.4"}


def test_a_machine_without_it_keeps_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(allocator, "find_library", lambda name: None)
    environment: dict[str, str] = {}
    assert preload_allocator(environment, tmp_path) is None
    assert environment == {}


def test_what_the_user_preloads_is_left_alone(prefix):
    environment = {"LD_PRELOAD": "/mine.so"}
    assert preload_allocator(environment, prefix) is None
    assert environment == {"LD_PRELOAD": "/mine.so"}


@pytest.mark.parametrize(("devices", "expected"), [(0, True), (1, False)])
def test_jobs_on_the_cpu_run_with_it(devices, expected, prefix, monkeypatch):
    environment = {"CUDA_VISIBLE_DEVICES": f"{prefix}/device"}
    monkeypatch.setattr("os.environ", environment)
    monkeypatch.setattr("os.execv", lambda *arguments: None)
    monkeypatch.setattr(allocator, "find_library", lambda name: f"lib{name}.so.4")
    main("program", gpu=devices)
    assert ("LD_PRELOAD" in environment) == expected


def test_the_dynamic_linker_finds_the_library_by_the_name_that_is_set():
    environment: dict[str, str] = {}
    if preload_allocator(environment) is None:
        pytest.skip("tcmalloc is not installed")
    maps = subprocess.run(
        [sys.executable, "-c", "print(open('/proc/self/maps').read())"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert maps.stderr == ""
    assert "tcmalloc" in maps.stdout
