"""Where examples come from: files, a data set of the hub, a generator."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.config.data import DataSettings
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.tasks.examples import Example
from workflow_scripts.tasks.generators import REFUSED, generated_rows

Row = Mapping[str, Any]
ONLY_SPLIT = "all"
# Train comes last, so that a larger training set leaves the others as they were.
DRAW_ORDER = ("test", "validation", "demonstrations", "train")
# values of a column that an error lists
_NAMED_AT_MOST = 8
# halves of characters, which JSON can hold and UTF-8 cannot
_SURROGATES = re.compile("[\ud800-\udfff]")
# what a pattern writes there
_BRACES = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True)
class Source:
    """Every example of a source, by the source's own splits.

    other_labels, no_text: of each split, the rows left out because their label has no verbalizer,
    or because they are of the hub and a text that is asked or answered is empty.
    """

    splits: Mapping[str, Sequence[Example]]
    other_labels: Mapping[str, int]
    no_text: Mapping[str, int]


@dataclass(frozen=True)
class _Entry:
    """A row. place: as errors name it. item: what its example is called."""

    split: str
    row: Row
    place: str
    item: str


def read_source(data: DataSettings) -> Source:
    """The examples of the rows that `data.where` chooses and whose label has a verbalizer.

    A source without splits is one split named `all`; a generator has those of a task. An example's
    item is the column `id` of a file where there is one, else its row: ids of the hub may repeat
    from split to split.

    Raises InputError when the source cannot be read, for a row without question, answer or
    references, when `data.where` chooses no row or a verbalizer's label is in none, and in a choice
    task for a row whose options or answer do not fit the labels.
    """
    entries = list(_entries(data))
    chosen = _chosen(entries, data)
    with_texts = _with_texts(chosen, data)
    answered = _verbalized(with_texts, data)
    splits: dict[str, list[Example]] = {entry.split: [] for entry in entries}
    for entry in answered:
        splits[entry.split].append(_example(entry, data))
    return Source(
        splits,
        other_labels=_by_split(with_texts) - _by_split(answered),
        no_text=_by_split(chosen) - _by_split(with_texts),
    )


def _by_split(entries: Iterable[_Entry]) -> Counter[str]:
    return Counter(entry.split for entry in entries)


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
            place = f"{source}: row {n}"
            yield _Entry(file.stem, row, place, _id(row, place) or f"{file.stem}-{n}")


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
        yield _Entry(split, row, place, _id(row, place) or f"row-{number}")


def _id(row: Row, place: str) -> str | None:
    return None if row.get("id") is None else _text(row, "id", place)


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
            except (ValueError, RecursionError) as error:
                raise InputError(f"{source}: row {number} is not valid JSON ({error})") from None
            yield number, _object(row, f"{source}: row {number}")


def _read_json(source: str, path: Path) -> Iterable[tuple[int, Row]]:
    """A list of objects, or an object that holds it as `examples` beside other keys."""
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
    return enumerate((_in_own_precision(row, kind) for row in rows), start=1)


def _is_utf8(table: pa.Table) -> bool:
    try:
        table.to_pylist()
    except UnicodeDecodeError:
        return False
    return True


def _in_own_precision(value: Any, kind: pa.DataType) -> Any:
    """The value with floats of 16 and 32 bits as their own digits say: 0.7, not 0.699999988."""
    if value is None or "float" not in str(kind):  # the one of 64 bits is called double
        return value
    if pa.types.is_struct(kind):
        return {field.name: _in_own_precision(value[field.name], field.type) for field in kind}
    if isinstance(value, list):
        return [_in_own_precision(item, kind.value_type) for item in value]
    return float(str(kind.to_pandas_dtype()(value))) if isinstance(value, float) else value


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
        kind = pa.struct(rows.features.arrow_schema)
        for number, row in enumerate(rows, start=1):
            place = f"{data.source}: {split} row {number}"
            yield _Entry(str(split), _in_own_precision(row, kind), place, f"{split}-{number}")


# --- generators ---------------------------------------------------------------------------


def _generated(data: DataSettings) -> Iterator[_Entry]:
    """As many different questions as each of our splits needs, more where some may be left out."""
    import reasoning_gym  # slow to import, and most tasks are files

    name = data.source.removeprefix("reasoning_gym:")
    if name not in reasoning_gym.factory.DATASETS:
        near = difflib.get_close_matches(name, reasoning_gym.factory.DATASETS, n=3, cutoff=0.4)
        raise InputError(
            f"{data.source}: reasoning_gym has no such data set; "
            f"nearest: {', '.join(near) or 'none, see its gallery'}"
        )
    if name in REFUSED:
        raise InputError(f"{data.source}: {REFUSED[name]}")
    counts = {split: getattr(data.items, split) for split in DRAW_ORDER}
    selects = bool(data.where or data.verbalizers or data.balanced or data.overflow == "exclude")
    numbers: Counter[str] = Counter()
    for split, row in generated_rows(name, counts, data.seed, spare=selects):
        numbers[split] += 1
        item = f"{split}-{numbers[split]}"
        yield _Entry(split, row, f"{data.source}: {item}", item)


# --- which rows ---------------------------------------------------------------------------


def _chosen(entries: Sequence[_Entry], data: DataSettings) -> Sequence[_Entry]:
    """The rows whose columns have the values of `data.where`, as text."""
    chosen = entries
    for column, value in data.where.items():
        before = [(e, _as_text(_find(e.row, column, e.place))) for e in chosen]
        chosen = [entry for entry, text in before if text == value]
        if not chosen:
            raise InputError(
                f"{data.source}: no row has '{value}' in '{column}', as `data.where` asks; these "
                f"are there: {_some_of(text for _, text in before)}"
            )
    return chosen


def _with_texts(entries: Sequence[_Entry], data: DataSettings) -> Sequence[_Entry]:
    """Of the hub, the rows whose question, answer and references are not empty.

    Nobody can complete a row there: QQP lacks some questions, and test sets may hide their answers.
    """
    if not data.source.startswith("hub:"):
        return entries
    columns = [*_columns_of_question(data), data.fields.answer]
    if data.fields.references is not None:
        columns.append(data.fields.references)
    return [e for e in entries if all(map(_is_filled, (_find(e.row, c, e.place) for c in columns)))]


def _is_filled(value: Any) -> bool:
    texts = value if isinstance(value, list) else [value]
    return any(text is not None and _as_text(text) for text in texts)


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
        item=entry.item,
        question=_question(entry, data),
        answer=_answer(row, data, place),
        references=_references(row, data, place),
    )


def _question(entry: _Entry, data: DataSettings) -> str:
    row, place = entry.row, entry.place
    if data.pattern is None:
        question = _text(row, data.fields.question, place)
    else:
        # all texts at once: braces in them are text
        question = _BRACES.sub(
            lambda name: ", ".join(_texts(row, _column(name[1], data), place)),
            data.pattern,
        ).strip()
    if data.fields.options is None:
        return question
    return "\n".join([question, *_option_lines(row, data, place)])


def _columns_of_question(data: DataSettings) -> list[str]:
    if data.pattern is None:
        return [data.fields.question]
    names = _BRACES.findall(data.pattern)
    return [_column(name, data) for name in names]


def _column(name: str, data: DataSettings) -> str:
    """The column that a name in the braces of a pattern stands for."""
    return {"premise": data.fields.premise, "hypothesis": data.fields.hypothesis}.get(name, name)


def _option_lines(row: Row, data: DataSettings, place: str) -> list[str]:
    columns, labels = data.fields.options, data.choices
    assert columns is not None
    assert labels is not None
    if isinstance(columns, str):
        options = _value(row, columns, place)
        if not isinstance(options, list):
            raise InputError(f"{place}: '{columns}' is {options!r:.40}, not a list of options")
        texts = [_filled(option, columns, place) for option in options]
    else:
        texts = [_text(row, column, place) for column in columns]
    if len(texts) != len(labels):
        raise InputError(
            f"{place}: {len(texts)} options for {len(labels)} labels ({', '.join(labels)}); "
            "give `data.choices` as many labels as every row has options"
        )
    return [f"{label}. {text}" for label, text in zip(labels, texts, strict=True)]


def _answer(row: Row, data: DataSettings, place: str) -> str:
    """The answer's text; in a choice task its label, which it may name by its index."""
    answer = _texts(row, data.fields.answer, place)[0]
    if data.verbalizers is not None:
        return data.verbalizers[answer]
    if data.choices is None:
        return answer
    if data.fields.options is not None:
        named = _value(row, data.fields.answer, place)
        is_index = isinstance(named, int | float) or answer not in data.choices
        if is_index and answer.isdecimal() and int(answer) < len(data.choices):
            return data.choices[int(answer)]
    if answer not in data.choices:
        raise InputError(
            f"{place}: answer '{answer:.40}' is none of {', '.join(data.choices)}; correct the "
            "row, or name the labels under `data.choices`"
        )
    return answer


def _references(row: Row, data: DataSettings, place: str) -> tuple[str, ...]:
    """Texts of their own column, else the list that the answer begins; each once."""
    column = data.fields.references or data.fields.answer
    if data.fields.references is None and not isinstance(_value(row, column, place), list):
        return ()
    return tuple(dict.fromkeys(_texts(row, column, place)))


# --- texts of a row -----------------------------------------------------------------------


def _text(row: Row, column: str, place: str) -> str:
    return _filled(_value(row, column, place), column, place)


def _texts(row: Row, column: str, place: str) -> list[str]:
    """Of a column that holds a text or a list of them: those that are not empty, at least one."""
    value = _value(row, column, place)
    if not isinstance(value, list):
        return [_filled(value, column, place)]
    texts = [_written(text, column, place) for text in value]
    return [text for text in texts if text] or [_filled("", column, place)]


def _filled(value: Any, column: str, place: str) -> str:
    text = _written(value, column, place)
    if not text:
        raise InputError(f"{place}: '{column}' is empty; complete or remove the row")
    return text


def _written(value: Any, column: str, place: str) -> str:
    if not isinstance(value, str | int | float | Decimal) or not _is_finite(value):
        raise InputError(f"{place}: '{column}' is {value!r:.40}, not text; write it as text")
    text = _as_text(value)
    if (damaged := _SURROGATES.search(text)) is not None:
        raise InputError(
            f"{place}: '{column}' holds {damaged.group()!a}, half of a character; correct the row"
        )
    return text


def _is_finite(value: str | int | float | Decimal) -> bool:
    return isinstance(value, str | int) or math.isfinite(value)


def _as_text(value: Any) -> str:
    """Of a number the fewest digits that tell it: 72.0 is 72.

    Whole numbers become floats where a column has gaps, in parquet and in JSON, which has one kind
    of number only; an answer that needs the `.0` is a text.
    """
    if isinstance(value, float):
        return np.format_float_positional(value + 0.0, trim="-")  # no negative zero
    return f"{value:f}" if isinstance(value, Decimal) else str(value).strip()


def _value(row: Row, column: str, place: str) -> Any:
    value = _find(row, column, place)
    if value is None:
        raise _without(column, row, place)
    return value


def _find(row: Row, column: str, place: str) -> Any:
    """What the row holds at a path, None where that is null or behind the end of a list."""
    try:
        return _follow(row, column)
    except LookupError:
        raise _without(column, row, place) from None


def _follow(value: Any, path: str) -> Any:
    """What a path leads to; a key that holds the dot itself comes first."""
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
        f"{place} has no '{column}' (it has: {', '.join(_paths(row))}); complete the row, or name "
        "one of its columns in the task's `data`"
    )


def _paths(row: Row) -> Iterator[str]:
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from (f"{name}.{inner}" for inner in _paths(value))
        elif value is not None:
            yield name
