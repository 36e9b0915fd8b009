"""Numbers in names of files."""

from __future__ import annotations


def exact(number: float) -> str:
    """The number in at least six digits, and in as many as tell it from every other."""
    forms = (f"{number:.{digits}g}" for digits in range(6, 18))
    return next((form for form in forms if float(form) == number), repr(number))
