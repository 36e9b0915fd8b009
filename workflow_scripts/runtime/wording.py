"""How messages quote what was given, and what they suggest instead."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

# letters of a value that a message shows, and names that it lists
_SHOWN, _LISTED = 60, 40


def shortened(value: Any) -> str:
    """A value as a message quotes it: on one line, and cut where it is long."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 2]}…{text[-1]}"


def hint(name: str, known: Iterable[object]) -> str:
    """What to write instead of an unknown name: the nearest known one as a guess, else all.

    known: keys of a config, which YAML may have read as numbers.
    """
    names = list(map(str, known))
    # the search is quadratic in the length of the name
    near = difflib.get_close_matches(name[:200], names, n=1)
    if near:
        return f"did you mean '{near[0]}'?"
    return listed(names, "valid here:") if names else "none is defined"


def listed(names: Iterable[str], intro: str) -> str:
    """Names after an introduction, each once, and not all of very many."""
    names = list(dict.fromkeys(names))
    more = f", … ({len(names):,} in all)" if len(names) > _LISTED else ""
    return f"{intro} {', '.join(names[:_LISTED])}{more}"
