from __future__ import annotations

import pytest
from docutils.core import publish_doctree

from workflow_scripts.figures.registry import FIGURES


@pytest.mark.parametrize("name", FIGURES)
def test_a_caption_is_plain_text_that_names_its_split(name):
    caption = FIGURES[name].caption
    document = publish_doctree(caption.read_text(), settings_overrides={"report_level": 1})
    assert caption.stem == name
    assert "split" in document.astext()
    assert "interval" in document.astext()


def test_no_caption_is_left_without_a_figure():
    folder = FIGURES["icl_gap"].caption.parent
    assert {path.stem for path in folder.glob("*.rst")} == set(FIGURES)
