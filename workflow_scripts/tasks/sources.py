"""Where examples come from: a file, a data set of the hub, a generator."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from workflow_scripts.errors import InputError
from workflow_scripts.settings import DataSettings, FieldNames
from workflow_scripts.tasks.examples import Example

Row = Mapping[str, Any]
ONLY_SPLIT = "all"


def read_source(data: DataSettings) -> dict[str, list[Example]]:
    """Every example of the source, by the source's own splits.

    A source without splits is one split named `all`. An example's item is the column `id` where
    there is one, else its row.

    Raises InputError when the source cannot be read, and for a row without question or answer.
    """
    if data.source.startswith("hub:"):
        return _hub_splits(data)
    if data.source.startswith("reasoning_gym:"):
        return {ONLY_SPLIT: _generated(data)}
    return _file_splits(data)


# --- files --------------------------------------------------------------------------------


def _file_splits(data: DataSettings) -> dict[str, list[Example]]:
    rows = list(_file_rows(data.source))
    has_splits = any(row.get("split") is not None for _, row in rows)
    splits: dict[str, list[Example]] = {}
    for number, row in rows:
        place = f"{data.source}: row {number}"
        name = _text(row, "split", place) if has_splits else ONLY_SPLIT
        splits.setdefault(name, []).append(_example(row, data.fields, place, f"row-{number}"))
    if not splits:
        raise InputError(f"{data.source}: holds no rows")
    return splits


def _file_rows(source: str) -> Iterable[tuple[int, Row]]:
    """Rows with their numbers; the first is row 1."""
    path = Path(source).expanduser()
    readers = {".jsonl": _read_jsonl, ".parquet": _read_parquet}
    if path.suffix not in readers:
        raise InputError(
            f"{source}: a task's `source` is a .jsonl or .parquet file, hub:<data set> or "
            "reasoning_gym:<name>"
        )
    if not path.is_file():
        raise InputError(f"{source}: no such file")
    return readers[path.suffix](source, path)


def _read_jsonl(source: str, path: Path) -> Iterable[tuple[int, Row]]:
    # by hand: `datasets` would turn answers that look like dates into timestamps
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError:
        raise InputError(f"{source}: is not UTF-8 text") from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"{source}: row {number} is not valid JSON ({error})") from None
        if not isinstance(row, dict):
            raise InputError(f"{source}: row {number} is not a JSON object")
        yield number, row


def _read_parquet(source: str, path: Path) -> Iterable[tuple[int, Row]]:
    try:
        rows = pd.read_parquet(path, dtype_backend="pyarrow").to_dict(orient="records")
    except (ValueError, OSError):
        raise InputError(f"{source}: not a parquet file") from None
    for number, row in enumerate(rows, start=1):
        yield number, {str(name): None if value is pd.NA else value for name, value in row.items()}


# --- the hub ------------------------------------------------------------------------------


def _hub_splits(data: DataSettings) -> dict[str, list[Example]]:
    import datasets  # slow to import, and most tasks are files

    name = data.source.removeprefix("hub:")
    try:
        downloaded = datasets.load_dataset(name, data.subset, revision=data.revision)
    except ValueError as error:  # an unknown subset or file format; the message names valid ones
        raise InputError(f"{data.source}: {str(error).splitlines()[0]}") from None
    except Exception as error:  # whatever the HTTP library underneath raises
        raise InputError(
            f"{data.source}: cannot be downloaded ({type(error).__name__}) and is not in the "
            "hub's cache; check the name and revision, rerun where there is a network, or give "
            "a .jsonl or .parquet file as `source`"
        ) from None
    return {
        str(split): [
            _example(row, data.fields, f"{data.source}: {split} row {number}", f"{split}-{number}")
            for number, row in enumerate(rows, start=1)
        ]
        for split, rows in downloaded.items()
    }


# --- generators ---------------------------------------------------------------------------


def _generated(data: DataSettings) -> list[Example]:
    """As many different questions as the task needs; repeated ones are left out."""
    import reasoning_gym  # slow to import, and most tasks are files

    name = data.source.removeprefix("reasoning_gym:")
    if name not in reasoning_gym.factory.DATASETS:
        near = difflib.get_close_matches(name, reasoning_gym.factory.DATASETS, n=3, cutoff=0.4)
        raise InputError(
            f"{data.source}: reasoning_gym has no such data set; "
            f"nearest: {', '.join(near) or 'none, see its gallery'}"
        )
    items = data.items
    needed = items.demonstrations + items.train + items.validation + items.test
    examples: dict[str, Example] = {}
    # a generator that mostly repeats itself is given up, and the draw says how many there are
    entries = reasoning_gym.create_dataset(name, seed=data.seed, size=10 * needed)
    for number, row in enumerate(entries, start=1):
        example = _example(row, data.fields, f"{data.source}: entry {number}", f"{name}-{number}")
        examples.setdefault(example.question, example)
        if len(examples) == needed:
            break
    return list(examples.values())


# --- rows ---------------------------------------------------------------------------------


def _example(row: Row, fields: FieldNames, place: str, number: str) -> Example:
    return Example(
        item=number if row.get("id") is None else _text(row, "id", place),
        question=_text(row, fields.question, place),
        answer=_text(row, fields.answer, place),
    )


def _text(row: Row, column: str, place: str) -> str:
    value = row.get(column)
    if value is None:
        raise InputError(
            f"{place} has no '{column}' (it has: {', '.join(row)}); complete the row, or name "
            "the columns under `data.fields`"
        )
    if not isinstance(value, str | int | float) or value != value:  # NaN differs from itself
        raise InputError(f"{place}: '{column}' is {value!r:.40}, not text")
    text = str(value).strip()
    if not text:
        raise InputError(f"{place}: '{column}' is empty; complete or remove the row")
    return text
