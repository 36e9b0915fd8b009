"""Where examples come from: files, a data set of the hub, a generator."""

from __future__ import annotations

import difflib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workflow_scripts.errors import InputError
from workflow_scripts.settings import PATTERNS, DataSettings
from workflow_scripts.tasks.examples import Example

Row = Mapping[str, Any]
ONLY_SPLIT = "all"
# values of a column that an error lists
_NAMED_AT_MOST = 8


@dataclass(frozen=True)
class Source:
    """Every example of a source, by the source's own splits.

    other_labels, no_text: of each split, the rows left out because their label has no verbalizer,
    or one of the two texts of their pair is empty.
    """

    splits: Mapping[str, Sequence[Example]]
    other_labels: Mapping[str, int]
    no_text: Mapping[str, int]


@dataclass(frozen=True)
class _Entry:
    """A row. place: as errors name it. name: of its item where it has no `id`."""

    split: str
    row: Row
    place: str
    name: str


def read_source(data: DataSettings) -> Source:
    """The examples of the rows that `data.where` chooses and whose label has a verbalizer.

    A source without splits is one split named `all`. An example's item is the column `id` where
    there is one, else its row.

    Raises InputError when the source cannot be read, for a row without question or answer, when
    `data.where` chooses no row or a verbalizer's label is in none, and in a choice task for a row
    whose options or answer do not fit the labels.
    """
    entries = list(_entries(data))
    with_texts = _with_texts(entries, data)
    chosen = _chosen(with_texts, data)
    answered = _verbalized(chosen, data)
    splits: dict[str, list[Example]] = {entry.split: [] for entry in entries}
    for entry in answered:
        splits[entry.split].append(_example(entry, data))
    return Source(
        splits,
        other_labels=_by_split(chosen) - _by_split(answered),
        no_text=_by_split(entries) - _by_split(with_texts),
    )


def _by_split(entries: Iterable[_Entry]) -> Counter[str]:
    return Counter(entry.split for entry in entries)


def _with_texts(entries: list[_Entry], data: DataSettings) -> list[_Entry]:
    """Pairs of the hub with both their texts: nobody can complete a row there (QQP lacks some)."""
    if data.pattern is None or not data.source.startswith("hub:"):
        return entries
    columns = (data.fields.premise, data.fields.hypothesis)
    return [e for e in entries if all(e.row.get(column, True) for column in columns)]


def _entries(data: DataSettings) -> Iterator[_Entry]:
    if data.source.startswith("hub:"):
        return _of_hub(data)
    if data.source.startswith("reasoning_gym:"):
        return _generated(data)
    path = Path(data.source).expanduser()
    return _of_folder(data, path) if path.is_dir() else _of_file(data, path)


# --- files --------------------------------------------------------------------------------


def _of_folder(data: DataSettings, folder: Path) -> Iterator[_Entry]:
    files = sorted(file for file in folder.iterdir() if file.suffix in _READERS)
    if not files:
        raise InputError(f"{data.source}: holds no {', '.join(_READERS)} file")
    splits: set[str] = set()
    for file in files:
        if file.stem in splits:
            raise InputError(f"{data.source}: two files are the split '{file.stem}'; remove one")
        splits.add(file.stem)
        source = f"{data.source}/{file.name}"
        for n, row in _rows(source, file):
            yield _Entry(file.stem, row, f"{source}: row {n}", f"{file.stem}-{n}")


def _of_file(data: DataSettings, path: Path) -> Iterator[_Entry]:
    if path.suffix not in _READERS:
        raise InputError(
            f"{data.source}: a task's `source` is a {', '.join(_READERS)} file or a folder of "
            "them, hub:<data set> or reasoning_gym:<name>"
        )
    if not path.is_file():
        raise InputError(f"{data.source}: no such file")
    rows = _rows(data.source, path)
    has_splits = any(row.get("split") is not None for _, row in rows)
    for number, row in rows:
        place = f"{data.source}: row {number}"
        split = _text(row, "split", place) if has_splits else ONLY_SPLIT
        yield _Entry(split, row, place, f"row-{number}")


def _rows(source: str, path: Path) -> list[tuple[int, Row]]:
    """Rows with their numbers; the first is row 1."""
    rows = list(_READERS[path.suffix](source, path))
    if not rows:
        raise InputError(f"{source}: holds no rows")
    return rows


def _read_jsonl(source: str, path: Path) -> Iterable[tuple[int, Row]]:
    # by hand: `datasets` would turn answers that look like dates into timestamps
    for number, line in enumerate(_utf8(source, path).split("\n"), start=1):
        if line.strip():
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise InputError(f"{source}: row {number} is not valid JSON ({error})") from None
            yield number, _object(row, f"{source}: row {number}")


def _read_json(source: str, path: Path) -> Iterable[tuple[int, Row]]:
    """A list of objects, or an object that holds it as `examples` beside other keys."""
    try:
        content = json.loads(_utf8(source, path))
    except json.JSONDecodeError as error:
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
        rows = pd.read_parquet(path, dtype_backend="pyarrow").to_dict(orient="records")
    except (ValueError, OSError):
        raise InputError(f"{source}: not a parquet file") from None
    for number, row in enumerate(rows, start=1):
        yield number, {str(name): None if value is pd.NA else value for name, value in row.items()}


_READERS: Mapping[str, Callable[[str, Path], Iterable[tuple[int, Row]]]] = {
    ".jsonl": _read_jsonl,
    ".json": _read_json,
    ".parquet": _read_parquet,
}


# --- the hub ------------------------------------------------------------------------------


def _of_hub(data: DataSettings) -> Iterator[_Entry]:
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
            "its files as `source`"
        ) from None
    for split, rows in downloaded.items():
        for number, row in enumerate(rows, start=1):
            place = f"{data.source}: {split} row {number}"
            yield _Entry(str(split), row, place, f"{split}-{number}")


# --- generators ---------------------------------------------------------------------------


def _generated(data: DataSettings) -> Iterator[_Entry]:
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
    # what is left out later is made up for by more
    selects = bool(data.where or data.verbalizers or data.balanced or data.overflow == "exclude")
    questions: set[str] = set()
    # a generator that mostly repeats itself is given up, and the draw says how many there are
    entries = reasoning_gym.create_dataset(name, seed=data.seed, size=10 * needed)
    for number, row in enumerate(entries, start=1):
        entry = _Entry(ONLY_SPLIT, row, f"{data.source}: entry {number}", f"{name}-{number}")
        question = _question(entry, data)
        if question not in questions:
            questions.add(question)
            yield entry
        if len(questions) == needed and not selects:
            break


# --- which rows ---------------------------------------------------------------------------


def _chosen(entries: Sequence[_Entry], data: DataSettings) -> Sequence[_Entry]:
    """The rows whose columns have the values of `data.where`, as text."""
    chosen = entries
    for column, value in data.where.items():
        for entry in entries:
            if column not in entry.row:
                raise InputError(
                    f"{entry.place} has no '{column}' (it has: {', '.join(entry.row)}); name a "
                    "column under `data.where`"
                )
        before, chosen = chosen, [e for e in chosen if _as_text(e.row[column]) == value]
        if not chosen:
            values = {_as_text(entry.row[column]) for entry in before}
            raise InputError(
                f"{data.source}: no row has '{value}' in '{column}', as `data.where` asks; these "
                f"are there: {_some_of(values)}"
            )
    return chosen


def _verbalized(entries: Sequence[_Entry], data: DataSettings) -> Sequence[_Entry]:
    """The rows whose label has a verbalizer."""
    if data.verbalizers is None:
        return entries
    column = data.fields.answer
    labels = [_text(entry.row, column, entry.place) for entry in entries]
    for label in data.verbalizers:
        if label not in labels:
            raise InputError(
                f"{data.source}: no row has the label '{label}' of `data.verbalizers` in "
                f"'{column}'; these are there: {_some_of(labels)}"
            )
    return [e for e, label in zip(entries, labels, strict=True) if label in data.verbalizers]


def _some_of(values: Iterable[str]) -> str:
    different = sorted(set(values))
    more = ", …" if len(different) > _NAMED_AT_MOST else ""
    return ", ".join(f"{value:.40}" for value in different[:_NAMED_AT_MOST]) + more


# --- examples -----------------------------------------------------------------------------


def _example(entry: _Entry, data: DataSettings) -> Example:
    row, place = entry.row, entry.place
    return Example(
        item=entry.name if row.get("id") is None else _text(row, "id", place),
        question=_question(entry, data),
        answer=_answer(row, data, place),
    )


def _question(entry: _Entry, data: DataSettings) -> str:
    row, place = entry.row, entry.place
    if data.pattern is None:
        question = _text(row, data.fields.question, place)
    else:
        question = _fill(
            PATTERNS.get(data.pattern, data.pattern),
            premise=_text(row, data.fields.premise, place),
            hypothesis=_text(row, data.fields.hypothesis, place),
        )
    if data.fields.options is None:
        return question
    return "\n".join([question, *_option_lines(row, data, place)])


def _fill(pattern: str, **texts: str) -> str:
    """Both texts at once: braces in them, and other braces of the pattern, are text."""
    names = "|".join(texts)
    return re.sub(rf"\{{({names})\}}", lambda match: texts[match[1]], pattern).strip()


def _option_lines(row: Row, data: DataSettings, place: str) -> list[str]:
    column, labels = data.fields.options, data.choices
    assert column is not None
    assert labels is not None
    options = row.get(column)
    if isinstance(options, np.ndarray):  # of a parquet file
        options = options.tolist()
    if not isinstance(options, list):
        raise InputError(f"{place}: '{column}' is {options!r:.40}, not a list of options")
    if len(options) != len(labels):
        raise InputError(
            f"{place}: {len(options)} options for {len(labels)} labels ({', '.join(labels)}); "
            "give `data.choices` as many labels as every row has options"
        )
    texts = [_text({column: option}, column, place) for option in options]
    return [f"{label}. {text}" for label, text in zip(labels, texts, strict=True)]


def _answer(row: Row, data: DataSettings, place: str) -> str:
    """The answer's text; in a choice task its label, which it may name by its index."""
    answer = _text(row, data.fields.answer, place)
    if data.verbalizers is not None:
        return data.verbalizers[answer]
    if data.choices is None:
        return answer
    if data.fields.options is not None:
        is_index = isinstance(row[data.fields.answer], int) or answer not in data.choices
        if is_index and answer.isdecimal() and int(answer) < len(data.choices):
            return data.choices[int(answer)]
    if answer not in data.choices:
        raise InputError(
            f"{place}: answer '{answer:.40}' is none of {', '.join(data.choices)}; correct the "
            "row, or name the labels under `data.choices`"
        )
    return answer


def _text(row: Row, column: str, place: str) -> str:
    value = row.get(column)
    if value is None:
        raise InputError(
            f"{place} has no '{column}' (it has: {', '.join(row)}); complete the row, or name "
            "the columns under `data.fields`"
        )
    if not isinstance(value, str | int | float) or value != value:  # NaN differs from itself
        raise InputError(f"{place}: '{column}' is {value!r:.40}, not text")
    text = _as_text(value)
    if not text:
        raise InputError(f"{place}: '{column}' is empty; complete or remove the row")
    return text


def _as_text(value: Any) -> str:
    return str(value).strip()
