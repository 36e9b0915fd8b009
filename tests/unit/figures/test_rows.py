"""A figure is a module, a caption and a row."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from docutils.core import publish_doctree

import workflow_scripts
from workflow_scripts.config.figures import FIGURES, GROUP_FIGURES, GroupFigure
from workflow_scripts.figures.draw import drawing_of

PACKAGE = Path(workflow_scripts.__file__).parent
CAPTIONS = PACKAGE / "figures/captions"


@pytest.mark.parametrize("name", FIGURES)
def test_a_caption_is_plain_text_that_names_its_split(name):
    text = (CAPTIONS / f"{name}.rst").read_text()
    document = publish_doctree(text, settings_overrides={"report_level": 1})
    assert "split" in document.astext()
    assert "interval" in document.astext()


def test_no_caption_is_left_without_a_figure():
    assert {path.stem for path in CAPTIONS.glob("*.rst")} == set(FIGURES)


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_has_a_module_that_draws_it(name):
    drawing = drawing_of(name)
    assert callable(drawing.table)
    assert callable(drawing.draw)


def test_a_config_can_ask_for_every_figure_of_groups():
    assert set(get_args(GroupFigure)) == set(GROUP_FIGURES)


@pytest.mark.parametrize("name", ["memory_by_value", "accuracy_by_value", "loss_curves"])
def test_a_figure_is_named_in_its_row_alone(name):
    naming = [path for path in PACKAGE.rglob("*.py") if f'"{name}"' in path.read_text()]
    own = PACKAGE / f"figures/{name}.py"
    assert [path.name for path in naming if path != own] == ["figures.py"]


def test_the_plan_reads_the_rows_without_drawing_libraries():
    code = "import sys, workflow_scripts.study.catalog; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
