"""docs/models.md says of each type of model what is measured on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.model_support import COLUMNS, TYPES, support

DOCUMENT = Path(__file__).parents[3] / "docs/models.md"


@pytest.fixture(scope="module")
def documented() -> dict[str, list[str]]:
    table = DOCUMENT.read_text().partition("<!-- models -->")[2].partition("<!-- /models -->")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in table.splitlines()
        if line.startswith("| `")
    ]
    return {name.strip("`"): cells for name, *cells in rows}


@pytest.mark.parametrize("family", TYPES)
def test_what_is_documented_is_measured(family, documented):
    assert dict(zip(COLUMNS, documented[family], strict=True)) == support(family)


def test_no_other_type_is_documented(documented):
    assert sorted(documented) == TYPES
