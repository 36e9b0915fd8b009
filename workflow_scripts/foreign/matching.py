"""The same items in results of different files, by id or by question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from workflow_scripts.foreign.scores import ScoredItems
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.wording import shortened

# items that a message names
_NAMED = 3


@dataclass(frozen=True)
class Matched:
    """Results on their common items.

    key: what items were matched by, `id` or `question`.
    results: with the same values of `item` in each, and every item in each seed.
    left_out: one line for each kind of item that is not compared, with its number and names.
    """

    key: str
    results: tuple[ScoredItems, ...]
    left_out: tuple[str, ...]

    @property
    def items(self) -> int:
        return int(self.results[0].rows["item"].nunique())


def match(results: Sequence[ScoredItems], other_prompts: bool = False) -> Matched:
    """The results on the items that all of them have.

    Items are matched by id where the questions agree, or by the hash of the question where that
    finds more. Hashes are of the whole item where all files are of one format, else of the
    question's text.

    other_prompts: whether the results may have been asked with different prompts.
    Raises InputError when the results are of different tasks, prompts or right answers, or have no
    common item.
    """
    _refuse_tasks(results)
    same_format = len({result.format for result in results}) == 1
    identity = "content" if same_format and _all_have(results, "content") else "question"
    tables = [_items(result) for result in results]
    by_id, other_question = _by_id(tables, identity)
    by_question = _by_question(tables, identity)
    key = "question" if len(by_question) > len(by_id) else "id"
    common = by_question if key == "question" else by_id
    if common.empty:
        raise InputError(_nothing_common(results, tables, len(other_question)))
    matched = tuple(
        _on(result, common[place], common.index) for place, result in enumerate(results)
    )
    if same_format:
        _refuse_different(results, matched, "target")
        if not other_prompts:
            _refuse_different(results, matched, "prompt")
    return Matched(key, matched, tuple(_left_out(results, tables, common, other_question, key)))


def _all_have(results: Sequence[ScoredItems], column: str) -> bool:
    return all(bool(result.rows[column].notna().all()) for result in results)


def _refuse_tasks(results: Sequence[ScoredItems]) -> None:
    """Names of tasks compare within a format: each has its own."""
    first = results[0]
    for other in results[1:]:
        named = first.task is not None and other.task is not None
        if named and first.format == other.format and first.task != other.task:
            raise InputError(
                f"{first.path} is of task {first.task}, {other.path} of task {other.task}; compare "
                "results of one task"
            )
        versions = [result.asked.get("version") for result in (first, other)]
        if named and first.format == other.format and len({*versions} - {None}) > 1:
            raise InputError(
                f"{first.path} is of version {versions[0]} of task {first.task}, {other.path} of "
                f"version {versions[1]}; compare results of one version"
            )


def _items(result: ScoredItems) -> pd.DataFrame:
    """One row for each item, under its id."""
    return result.rows.drop_duplicates("item").set_index("item")


def _by_id(tables: Sequence[pd.DataFrame], identity: str) -> tuple[pd.DataFrame, list[str]]:
    """Item → its id in each result; and the ids under which results have different questions."""
    ids = [item for item in tables[0].index if all(item in table.index for table in tables[1:])]
    questions = pd.concat([table.loc[ids, identity] for table in tables], axis=1)
    differs = questions.nunique(axis=1) > 1
    same = [item for item, other in zip(ids, differs, strict=True) if not other]
    places = dict.fromkeys(range(len(tables)), same)
    return pd.DataFrame(places, index=pd.Index(same, dtype=object)), list(differs.index[differs])


def _by_question(tables: Sequence[pd.DataFrame], identity: str) -> pd.DataFrame:
    """The same by question, where each result has it once."""
    own = []
    for place, table in enumerate(tables):
        known = table[identity].dropna()
        known = known[~known.duplicated(keep=False)]
        own.append(pd.Series(known.index, index=known.to_numpy(), name=place, dtype=object))
    common = pd.concat(own, axis=1, join="inner")
    # under their ids in the first result
    return common.set_index(pd.Index(common[0].to_numpy(), dtype=object))


def _on(result: ScoredItems, ids: pd.Series, names: pd.Index) -> ScoredItems:
    """The result on these of its items, under other names."""
    renamed = dict(zip(ids, names, strict=True))
    rows = result.rows[result.rows["item"].isin(ids)]
    return replace(result, rows=rows.assign(item=rows["item"].map(renamed)))


def _refuse_different(
    results: Sequence[ScoredItems], matched: Sequence[ScoredItems], column: str
) -> None:
    tables = [_items(result) for result in matched]
    first = tables[0][column]
    for result, table in zip(results[1:], tables[1:], strict=True):
        pair = pd.concat([first, table[column].reindex(first.index)], axis=1).dropna()
        differs = pair[pair.nunique(axis=1) > 1]
        if differs.empty:
            continue
        item, (one, other) = differs.index[0], differs.iloc[0]
        files = f"{results[0].path} and {result.path}"
        where = (
            f"{len(differs)} of {len(pair)} common items, item {item} for instance (SHA-256 "
            f"{one[:12]} and {other[:12]})"
        )
        if told := _told_apart(results[0], result):
            where += f", by {told}"
        if column == "target":
            raise InputError(
                f"{files} have different right answers to {where}: they are of different versions "
                "of the task; compare results of one"
            )
        raise InputError(
            f"{files} were asked with different prompts in {where}; evaluate both with one prompt "
            "template, or add --other-prompts if the difference of prompts is the question"
        )


def _told_apart(first: ScoredItems, second: ScoredItems) -> str:
    """The settings in which two results were asked differently."""
    pairs = {name: (value, second.asked.get(name)) for name, value in first.asked.items()}
    return ", ".join(
        f"{name} ({shortened(one)} and {shortened(other)})"
        for name, (one, other) in pairs.items()
        if other is not None and one != other
    )


def _nothing_common(
    results: Sequence[ScoredItems], tables: Sequence[pd.DataFrame], other_question: int
) -> str:
    paths: list[Path] = [result.path for result in results]
    if other_question:
        return (
            f"{' and '.join(map(str, paths))} have no common item: {other_question} have the same "
            "id but another question; compare results of one task"
        )
    own = [
        f"{path} has {_named(list(table.index))}" for path, table in zip(paths, tables, strict=True)
    ]
    return (
        f"no common item: {', '.join(own)}; give the same ids, or a column question with its text"
    )


def _left_out(
    results: Sequence[ScoredItems],
    tables: Sequence[pd.DataFrame],
    common: pd.DataFrame,
    other_question: Sequence[str],
    key: str,
) -> list[str]:
    lines = []
    if key == "id" and other_question:
        lines.append(f"same id, another question: {_named(list(other_question))}")
    for place, (result, table) in enumerate(zip(results, tables, strict=True)):
        skipped = {*common[place], *(other_question if key == "id" else ())}
        if rest := [item for item in table.index if item not in skipped]:
            lines.append(f"not in every result, but in {result.name}: {_named(rest)}")
        if result.unscored:
            lines.append(f"without a score in {result.name}: {_named(result.unscored)}")
    return lines


def _named(items: Sequence[str]) -> str:
    """`5 items (a, b, c, ...)`."""
    more = ", ..." if len(items) > _NAMED else ""
    noun = "item" if len(items) == 1 else "items"
    return f"{len(items):,} {noun} ({', '.join(map(str, items[:_NAMED]))}{more})"
