"""The summary as a web page."""

from __future__ import annotations

from workflow_scripts.figures.page import page_of

TEXT = """\
## tiny on echo

| condition | chosen |
|---|---:|
| sft | 84.0 [75.6, 89.9] |

- a
- b
"""


def test_tables_and_lists_become_html():
    page = page_of(TEXT)
    assert "<h2>tiny on echo</h2>" in page
    assert "84.0 [75.6, 89.9]</td>" in page
    assert page.count("<li>") == 2


def test_the_page_loads_nothing_from_elsewhere():
    assert "http" not in page_of(TEXT)
