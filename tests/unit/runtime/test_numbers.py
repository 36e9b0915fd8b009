"""Numbers in names: short, and no two alike."""

from __future__ import annotations

import pytest

from workflow_scripts.runtime.numbers import exact


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.1, "0.1"), (2.0, "2"), (1e-5, "1e-05"), (1e6, "1e+06"), (1234567.0, "1234567")],
)
def test_a_number_of_few_digits_is_written_in_these(number, text):
    assert exact(number) == text


@pytest.mark.parametrize("number", [0.1234567, 0.1 + 0.2, 1 / 3, 5e-324, 1.7976931348623157e308])
def test_the_text_of_a_number_is_that_of_no_other(number):
    assert float(exact(number)) == number
