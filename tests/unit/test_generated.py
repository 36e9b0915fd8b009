"""What is generated from the sources is up to date, and shipped lists agree with the code."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from workflow_scripts.figures.registry import FIGURES

ROOT = Path(__file__).parents[2]


def generator():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", generator().generated())
def test_a_generated_file_equals_its_source(name):
    assert (ROOT / name).read_text() == generator().generated()[name], "run `make docs`"


def test_every_figure_has_a_caption_and_every_caption_a_figure():
    captions = ROOT / "workflow_scripts/figures/captions"
    assert {path.stem for path in captions.glob("*.rst")} == set(FIGURES)
