from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from docutils.core import publish_doctree

from workflow_scripts.config.comparisons import GroupFigure
from workflow_scripts.figures import registry
from workflow_scripts.figures.registry import FIGURES, GROUP_FIGURES

CAPTIONS = Path(registry.__file__).parent / "captions"


@pytest.mark.parametrize("name", [*FIGURES, *GROUP_FIGURES])
def test_a_caption_is_plain_text_that_names_its_split(name):
    text = (CAPTIONS / f"{name}.rst").read_text()
    document = publish_doctree(text, settings_overrides={"report_level": 1})
    assert "split" in document.astext()
    assert "interval" in document.astext()


def test_no_caption_is_left_without_a_figure():
    assert {path.stem for path in CAPTIONS.glob("*.rst")} == {*FIGURES, *GROUP_FIGURES}


def test_a_config_can_ask_for_every_figure_of_groups():
    assert set(get_args(GroupFigure)) == set(GROUP_FIGURES)
