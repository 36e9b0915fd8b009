"""Examples from files, hub data sets and generators."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from workflow_scripts.config.data import DataSettings
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import expanded
from workflow_scripts.tasks.examples import Example
from workflow_scripts.tasks.generators import REFUSED, generated_rows
from workflow_scripts.tasks.origins import ONLY_SPLIT, unlabelled_sources
from workflow_scripts.tasks.readers import READERS, in_own_precision, read_rows
from workflow_scripts.tasks.rows import Row, as_text, filled, find, text_of, texts_of, value_of

# train comes last, so that a larger training split leaves the others as they were
DRAW_ORDER = ("test", "validation", "demonstrations", "train")
# values of a column that an error lists
_NAMED_AT_MOST = 8
# a column name in a pattern
_BRACES = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True)
class Source:
    """Every example of a source, by the source's own splits.

    other_labels, no_text: rows skipped in each split, because their label has no verbalizer or
    because a text of a hub row is empty.
    unanswered: item → why its answer cannot be read, for rows that an unlabelled split may take.
    """

    splits: Mapping[str, Sequence[Example]]
    other_labels: Mapping[str, int]
    no_text: Mapping[str, int]
    unanswered: Mapping[str, str]


@dataclass(frozen=True)
class _Entry:
    """A row. place: its name in errors. item: the name of its example.

    reads_answer: whether some labelled split may take it.
    needs_answer: whether no unlabelled split may take it.
    """

    split: str
    row: Row
    place: str
    item: str
    reads_answer: bool = True
    needs_answer: bool = True


def read_source(data: DataSettings) -> Source:
    """The examples of the rows that match `data.where` and whose label has a verbalizer.

    A source without splits has one, `all`; a generator has the task's splits. An item is named by
    the column `id` of a file if there is one, else by its row: hub ids may repeat across splits.

    Answers and references are not read in a source split that only unlabelled splits are drawn
    from. In one that both are drawn from, a row without a readable answer is kept as unanswered.

    Raises InputError if the source cannot be read, a row lacks a question, answer, references or a
    column of `data.columns`, no row matches `data.where` or a verbalizer, or options or answer of a
    row do not fit the labels.
    """
    entries = _with_labelling(list(_entries(data)), data)
    chosen = _chosen(entries, data)
    with_texts = _with_texts(chosen, data)
    answered = _verbalized(with_texts, data)
    splits: dict[str, list[Example]] = {entry.split: [] for entry in entries}
    unanswered: dict[str, str] = {}
    for entry in answered:
        example = _unanswered_example(entry, data)
        if entry.reads_answer:
            try:
                example = _answered(example, entry, data)
            except InputError as error:
                if entry.needs_answer:
                    raise
                unanswered[entry.item] = str(error)
        splits[entry.split].append(example)
    return Source(
        splits,
        other_labels=_by_split(with_texts) - _by_split(answered),
        no_text=_by_split(chosen) - _by_split(with_texts),
        unanswered=unanswered,
    )


def _with_labelling(entries: Sequence[_Entry], data: DataSettings) -> Sequence[_Entry]:
    """The rows with what is known about their answers from the splits that take them."""
    shared = unlabelled_sources(dict.fromkeys(entry.split for entry in entries), data)
    if not shared:
        return entries
    return [
        replace(
            entry,
            reads_answer=shared.get(entry.split, True),
            needs_answer=entry.split not in shared,
        )
        for entry in entries
    ]


def _by_split(entries: Iterable[_Entry]) -> Counter[str]:
    return Counter(entry.split for entry in entries)


def _entries(data: DataSettings) -> Iterator[_Entry]:
    if data.source.startswith("hub:"):
        return _of_hub(data)
    if data.source.startswith("reasoning_gym:"):
        return _generated(data)
    path = expanded(data.source)
    return _of_folder(data, path) if path.is_dir() else _of_file(data, path)


# --- files --------------------------------------------------------------------------------


def _of_folder(data: DataSettings, folder: Path) -> Iterator[_Entry]:
    files = sorted(file for file in folder.iterdir() if file.suffix in READERS)
    if not files:
        raise InputError(f"{data.source}: has no {', '.join(READERS)} file; add one")
    splits: set[str] = set()
    for file in files:
        if file.stem in splits:
            raise InputError(f"{data.source}: two files are the split '{file.stem}'; remove one")
        splits.add(file.stem)
        source = f"{data.source}/{file.name}"
        for n, row in read_rows(source, file):
            place = f"{source}: row {n}"
            yield _Entry(file.stem, row, place, _id(row, place) or f"{file.stem}-{n}")


def _of_file(data: DataSettings, path: Path) -> Iterator[_Entry]:
    if path.suffix not in READERS:
        raise InputError(
            f"{data.source}: a task's `source` is a {', '.join(READERS)} file or a folder of "
            "them, hub:<data set> or reasoning_gym:<name>"
        )
    if not path.is_file():
        raise InputError(f"{data.source}: no such file")
    rows = read_rows(data.source, path)
    has_splits = any(row.get("split") is not None for _, row in rows)
    for number, row in rows:
        place = f"{data.source}: row {number}"
        split = text_of(row, "split", place) if has_splits else ONLY_SPLIT
        yield _Entry(split, row, place, _id(row, place) or f"row-{number}")


def _id(row: Row, place: str) -> str | None:
    return None if row.get("id") is None else text_of(row, "id", place)


# --- the hub ------------------------------------------------------------------------------


def _of_hub(data: DataSettings) -> Iterator[_Entry]:
    import datasets  # slow to import

    name = data.source.removeprefix("hub:")
    try:
        downloaded = datasets.load_dataset(name, data.subset, revision=data.revision)
    except ValueError as error:  # an unknown subset or file format; the message names valid ones
        raise InputError(f"{data.source}: {str(error).splitlines()[0]}") from None
    except Exception as error:  # whatever the HTTP library underneath raises
        raise InputError(
            f"{data.source}: cannot be downloaded ({type(error).__name__}) and is not in the "
            "hub's cache; check the name and revision, rerun with a network connection, or set "
            "`source` to its files"
        ) from None
    for split, rows in downloaded.items():
        kind = pa.struct(rows.features.arrow_schema)
        for number, row in enumerate(rows, start=1):
            place = f"{data.source}: {split} row {number}"
            yield _Entry(str(split), in_own_precision(row, kind), place, f"{split}-{number}")


# --- generators ---------------------------------------------------------------------------


def _generated(data: DataSettings) -> Iterator[_Entry]:
    """Distinct questions for each split; more than needed if rows may be skipped."""
    import reasoning_gym  # slow to import

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
    """The rows whose columns have the values in `data.where`, compared as text."""
    chosen = entries
    for column, value in data.where.items():
        before = [(e, as_text(find(e.row, column, e.place))) for e in chosen]
        chosen = [entry for entry, text in before if text == value]
        if not chosen:
            raise InputError(
                f"{data.source}: no row has '{value}' in '{column}' (`data.where`); its values: "
                f"{_some_of(text for _, text in before)}"
            )
    return chosen


def _with_texts(entries: Sequence[_Entry], data: DataSettings) -> Sequence[_Entry]:
    """Without hub rows whose question, answer, references or further columns are empty.

    Hub data sets cannot be edited: QQP lacks some questions, and test sets may hide their answers.
    """
    if not data.source.startswith("hub:"):
        return entries
    always = [*_columns_of_question(data), *data.columns]
    of_answer = [data.fields.answer]
    if data.fields.references is not None:
        of_answer.append(data.fields.references)
    return [
        entry
        for entry in entries
        if all(
            _is_filled(find(entry.row, column, entry.place))
            for column in [*always, *(of_answer if entry.reads_answer else ())]
        )
    ]


def _is_filled(value: Any) -> bool:
    texts = value if isinstance(value, list) else [value]
    return any(text is not None and as_text(text) for text in texts)


def _verbalized(entries: Sequence[_Entry], data: DataSettings) -> Sequence[_Entry]:
    """The rows whose label has a verbalizer, and those that have no label or need none."""
    if data.verbalizers is None:
        return entries
    labels = [_label(entry, data.fields.answer) for entry in entries]
    known = [label for label in labels if label is not None]
    for label in data.verbalizers:
        if known and label not in known:
            raise InputError(
                f"{data.source}: no row has the label '{label}' of `data.verbalizers` in "
                f"'{data.fields.answer}'; its values: {_some_of(known)}"
            )
    wanted = {None, *data.verbalizers}
    return [e for e, label in zip(entries, labels, strict=True) if label in wanted]


def _label(entry: _Entry, column: str) -> str | None:
    """The row's label in the source; None if it is not read or may be missing."""
    if not entry.reads_answer:
        return None
    try:
        return text_of(entry.row, column, entry.place)
    except InputError:
        if entry.needs_answer:
            raise
        return None


def _some_of(values: Iterable[str]) -> str:
    different = sorted(set(values))
    more = ", …" if len(different) > _NAMED_AT_MOST else ""
    return ", ".join(f"{value:.40}" for value in different[:_NAMED_AT_MOST]) + more


# --- examples -----------------------------------------------------------------------------


def _unanswered_example(entry: _Entry, data: DataSettings) -> Example:
    return Example(
        item=entry.item,
        question=question_of(entry.row, data, entry.place),
        answer=None,
        columns={name: text_of(entry.row, name, entry.place) for name in data.columns},
    )


def _answered(example: Example, entry: _Entry, data: DataSettings) -> Example:
    row, place = entry.row, entry.place
    return replace(
        example, answer=_answer(row, data, place), references=_references(row, data, place)
    )


def question_of(row: Row, data: DataSettings, place: str) -> str:
    """The question of a row. Raises InputError naming its `place` if a column is missing."""
    if data.pattern is None:
        question = text_of(row, data.fields.question, place)
    else:
        # in one pass: braces in the texts are plain text
        question = _BRACES.sub(
            lambda name: ", ".join(texts_of(row, _column(name[1], data), place)),
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
    """The column named in the braces of a pattern."""
    return {"premise": data.fields.premise, "hypothesis": data.fields.hypothesis}.get(name, name)


def _option_lines(row: Row, data: DataSettings, place: str) -> list[str]:
    columns, labels = data.fields.options, data.choices
    assert columns is not None
    assert labels is not None
    if isinstance(columns, str):
        options = value_of(row, columns, place)
        if not isinstance(options, list):
            raise InputError(f"{place}: '{columns}' is {options!r:.40}, not a list of options")
        texts = [filled(option, columns, place) for option in options]
    else:
        texts = [text_of(row, column, place) for column in columns]
    if len(texts) != len(labels):
        raise InputError(
            f"{place}: {len(texts)} options for {len(labels)} labels ({', '.join(labels)}); "
            "`data.choices` needs one label for each option"
        )
    return [f"{label}. {text}" for label, text in zip(labels, texts, strict=True)]


def _answer(row: Row, data: DataSettings, place: str) -> str:
    """The answer's text; in a choice task its label, which may be given as an index."""
    answer = texts_of(row, data.fields.answer, place)[0]
    if data.verbalizers is not None:
        return data.verbalizers[answer]
    if data.choices is None:
        return answer
    if data.fields.options is not None:
        named = value_of(row, data.fields.answer, place)
        is_index = isinstance(named, int | float) or answer not in data.choices
        if is_index and answer.isdecimal() and int(answer) < len(data.choices):
            return data.choices[int(answer)]
    if answer not in data.choices:
        raise InputError(
            f"{place}: answer '{answer:.40}' is not one of {', '.join(data.choices)}; correct the "
            "row or `data.choices`"
        )
    return answer


def _references(row: Row, data: DataSettings, place: str) -> tuple[str, ...]:
    """The distinct texts of the references column, else of an answer that is a list."""
    column = data.fields.references or data.fields.answer
    if data.fields.references is None and not isinstance(value_of(row, column, place), list):
        return ()
    return tuple(dict.fromkeys(texts_of(row, column, place)))
