"""The columns of a row as texts.

Every function raises InputError naming the row's `place` and the column.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import numpy as np

from workflow_scripts.runtime.errors import InputError

Row = Mapping[str, Any]
# halves of characters, which JSON can hold and UTF-8 cannot
_SURROGATES = re.compile("[\ud800-\udfff]")


def text_of(row: Row, column: str, place: str) -> str:
    return filled(value_of(row, column, place), column, place)


def texts_of(row: Row, column: str, place: str) -> list[str]:
    """The texts of a column that holds one or a list, without empty ones; at least one."""
    value = value_of(row, column, place)
    if not isinstance(value, list):
        return [filled(value, column, place)]
    texts = [_written(text, column, place) for text in value]
    return [text for text in texts if text] or [filled("", column, place)]


def filled(value: Any, column: str, place: str) -> str:
    text = _written(value, column, place)
    if not text:
        raise InputError(f"{place}: '{column}' is empty; complete or remove the row")
    return text


def _written(value: Any, column: str, place: str) -> str:
    if not isinstance(value, str | int | float | Decimal) or not _is_finite(value):
        raise InputError(f"{place}: '{column}' is {value!r:.40}, not text; write it as text")
    text = as_text(value)
    if (damaged := _SURROGATES.search(text)) is not None:
        raise InputError(
            f"{place}: '{column}' holds {damaged.group()!a}, half of a character; correct the row"
        )
    return text


def _is_finite(value: str | int | float | Decimal) -> bool:
    return isinstance(value, str | int) or math.isfinite(value)


def as_text(value: Any) -> str:
    """The value as text; a number with the fewest digits, so 72.0 becomes 72.

    Whole numbers become floats in parquet columns with gaps, and JSON has one type of number. An
    answer that needs its `.0` must be text.
    """
    if isinstance(value, float):
        return np.format_float_positional(value + 0.0, trim="-")  # no negative zero
    return f"{value:f}" if isinstance(value, Decimal) else str(value).strip()


def value_of(row: Row, column: str, place: str) -> Any:
    value = find(row, column, place)
    if value is None:
        raise _without(column, row, place)
    return value


def find(row: Row, column: str, place: str) -> Any:
    """The row's value at a path; None if it is null or past the end of a list."""
    try:
        return _follow(row, column)
    except LookupError:
        raise _without(column, row, place) from None


def _follow(value: Any, path: str) -> Any:
    """The value at a path; a key that contains the dot itself wins."""
    if isinstance(value, Mapping) and path in value:
        return value[path]
    name, _, rest = path.partition(".")
    if isinstance(value, list) and name.isdecimal():
        inner = value[int(name)] if int(name) < len(value) else None
    elif isinstance(value, Mapping):
        inner = value[name]
    else:
        raise KeyError(path)
    return _follow(inner, rest) if rest and inner is not None else inner


def _without(column: str, row: Row, place: str) -> InputError:
    return InputError(
        f"{place} has no '{column}' (it has: {', '.join(_paths(row))}); complete the row, or "
        "correct the column in the task's `data`"
    )


def _paths(row: Row) -> Iterator[str]:
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from (f"{name}.{inner}" for inner in _paths(value))
        elif value is not None:
            yield name
