"""What is generated from the sources is up to date."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def generator():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", generator().generated())
def test_a_generated_file_equals_its_source(name):
    assert (ROOT / name).read_text() == generator().generated()[name], "run `make docs`"
