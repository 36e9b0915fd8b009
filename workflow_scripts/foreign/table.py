"""Tables of scores: CSV, JSON Lines or parquet with `item`, `score`, and perhaps more.

Optional columns: `result` (a file may hold several), `seed`, `task`, `question`, `prompt`,
`target` and `answer`.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.foreign.harness import json_lines
from workflow_scripts.foreign.scores import (
    ScoredItems,
    chosen_metric,
    hash_of,
    hash_of_question,
    scored_items,
)
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.wording import hint

SUFFIXES = (".csv", ".jsonl", ".parquet")
_DESCRIBING = ("item", "result", "seed", "task", "question", "prompt", "target", "answer")
_HASHED = {"question": hash_of_question, "prompt": hash_of, "target": hash_of}
_NAMED = ("result", "item", "task", "question", "prompt", "target", "answer")


def is_table(path: Path) -> bool:
    """Whether it may be a table of scores."""
    return path.suffix in SUFFIXES


def read_scores(path: Path, metrics: Sequence[str]) -> list[ScoredItems]:
    """The results of a table, in the order of their first rows.

    metrics: wanted, columns with scores; by default `score`, or else the only column of numbers.
    Raises InputError if the file is cut, or a column is missing or malformed.
    """
    table = _read(path)
    if table.empty:
        raise InputError(f"{path}: holds no rows; give a row for each item")
    if "item" not in table:
        raise InputError(f"{path}: no column item; {hint('item', table.columns)}")
    if table["item"].isna().any():
        raise InputError(f"{path}: row {int(table['item'].isna().argmax()) + 1} has no item")
    numbers = [str(name) for name in table if name not in _DESCRIBING and _is_numeric(table[name])]
    own = ["score"] if "score" in table else []
    # a score that is text is told as one, not as a column that is not there
    chosen = chosen_metric(path, metrics or own, list(dict.fromkeys([*numbers, *own])), [])
    seeds = _seeds(path, table)
    results = (
        table["result"].astype(str) if "result" in table else pd.Series(path.stem, table.index)
    )
    return [
        scored_items("table", path, str(name), _task(path, own), chosen, _rows(own, chosen, seeds))
        for name, own in table.groupby(results, sort=False)
    ]


def _read(path: Path) -> pd.DataFrame:
    try:
        if path.suffix == ".parquet":
            frame: pd.DataFrame = pq.read_table(path).to_pandas()
            return frame
        if path.suffix == ".jsonl":
            return pd.DataFrame(list(json_lines(path)))
        kinds: dict[Hashable, str] = dict.fromkeys(_NAMED, "string")
        return pd.read_csv(path, dtype=kinds, keep_default_na=False, na_values=[""])
    except (pa.ArrowException, pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError):
        raise InputError(
            f"{path}: is not a whole {path.suffix[1:]} table; it was cut or is damaged, so copy it "
            "again"
        ) from None


def _is_numeric(column: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column))


def _seeds(path: Path, table: pd.DataFrame) -> pd.Series:
    """Of each row; missing where there is no column, or one seed."""
    if "seed" not in table or table["seed"].nunique() < 2:
        return pd.Series(pd.NA, table.index, dtype="Int64")
    try:
        return table["seed"].astype("Int64")
    except (TypeError, ValueError):
        raise InputError(f"{path}: column seed holds what is no whole number") from None


def _task(path: Path, own: pd.DataFrame) -> str | None:
    names = [str(name) for name in own["task"].dropna().unique()] if "task" in own else []
    if len(names) > 1:
        raise InputError(
            f"{path}: holds results on {len(names)} tasks ({names[0]}, {names[1]}, ...); give a "
            "file for each"
        )
    return names[0] if names else None


def _rows(own: pd.DataFrame, metric: str, seeds: pd.Series) -> list[dict[str, Any]]:
    hashes = {
        name: [None if pd.isna(text) else hashed(str(text)) for text in own[name]]
        for name, hashed in _HASHED.items()
        if name in own
    }
    scores = [None if pd.isna(score) else score for score in own[metric].tolist()]
    items = [str(item) for item in own["item"]]
    columns = {"item": items, "seed": seeds[own.index].tolist(), "score": scores} | hashes
    if "answer" in own:
        columns["answer"] = [None if pd.isna(text) else str(text) for text in own["answer"]]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
