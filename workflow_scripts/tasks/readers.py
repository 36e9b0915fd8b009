"""Rows of JSON Lines, JSON and parquet files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.runtime.errors import InputError
from workflow_scripts.tasks.rows import Row


def read_rows(source: str, path: Path) -> list[tuple[int, Row]]:
    """The rows of a file with their numbers, from 1.

    Raises InputError naming `source` if the file cannot be read or is empty.
    """
    rows = list(READERS[path.suffix](source, path))
    if not rows:
        raise InputError(f"{source}: holds no rows")
    return rows


def _read_jsonl(source: str, path: Path) -> Iterable[tuple[int, Row]]:
    # by hand: `datasets` would turn answers that look like dates into timestamps
    for number, line in enumerate(_utf8(source, path).split("\n"), start=1):
        if line.strip():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise InputError(f"{source}: row {number} is not valid JSON ({error})") from None
            yield number, _object(row, f"{source}: row {number}")


def _read_json(source: str, path: Path) -> Iterable[tuple[int, Row]]:
    """A list of objects, or an object with such a list as `examples`."""
    text = _utf8(source, path)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{source}: is not valid JSON ({error})") from None
    rows = content.get("examples") if isinstance(content, dict) else content
    if not isinstance(rows, list):
        raise InputError(f"{source}: is neither a list nor an object with a list of `examples`")
    for number, row in enumerate(rows, start=1):
        yield number, _object(row, f"{source}: row {number}")


def _utf8(source: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{source}: is not UTF-8 text") from None


def _object(row: Any, place: str) -> Row:
    if not isinstance(row, dict):
        raise InputError(f"{place} is not a JSON object")
    return row


def _read_parquet(source: str, path: Path) -> Iterable[tuple[int, Row]]:
    try:
        table = pq.read_table(path)
    except (ValueError, OSError):
        raise InputError(f"{source}: not a parquet file") from None
    try:
        rows = table.to_pylist()
    except UnicodeDecodeError:
        bad = next(n for n in range(table.num_rows) if not _is_utf8(table.slice(n, 1)))
        raise InputError(f"{source}: row {bad + 1} holds text that is not UTF-8") from None
    kind = pa.struct(table.schema)
    return enumerate((in_own_precision(row, kind) for row in rows), start=1)


def _is_utf8(table: pa.Table) -> bool:
    try:
        table.to_pylist()
    except UnicodeDecodeError:
        return False
    return True


def in_own_precision(value: Any, kind: pa.DataType) -> Any:
    """The value with 16- and 32-bit floats as written in their precision: 0.7, not 0.699999988."""
    if value is None or "float" not in str(kind):  # 64-bit floats are called double
        return value
    if pa.types.is_struct(kind):
        return {field.name: in_own_precision(value[field.name], field.type) for field in kind}
    if isinstance(value, list):
        return [in_own_precision(item, kind.value_type) for item in value]
    return float(str(kind.to_pandas_dtype()(value))) if isinstance(value, float) else value


READERS: Mapping[str, Callable[[str, Path], Iterable[tuple[int, Row]]]] = {
    ".jsonl": _read_jsonl,
    ".json": _read_json,
    ".parquet": _read_parquet,
}
