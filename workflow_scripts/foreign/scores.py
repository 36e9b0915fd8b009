"""Per-item scores of one result as every reader returns them, and what is refused of any format."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from workflow_scripts.runtime.errors import InputError

# of the rows of a result; all but item and score may be missing
COLUMNS = [
    *("item", "seed", "score", "question", "content", "prompt", "target"),
    *("answer", "read", "doc"),
]


@dataclass(frozen=True)
class ScoredItems:
    """One result: a score for each item, or for each item and seed.

    format: within one, hashes compare.
    path: the file, for messages.
    name: of the result, as the file tells it.
    task: as the file names it; None where it does not.
    metric: what was scored.
    asked: settings of task and prompt that the file tells, for messages.
    rows: `item` (text), `seed` (a repetition, an epoch or a training seed; missing where there is
    one), `score` in [0, 1], and hashes that are missing where the file does not hold the text:
    `question` of the bare question, `content` of all that the item is made of, `prompt` of what
    the model was given, `target` of the right answer. Where the file tells them, `answer` is the
    text of the model, `read` what its scorer read there, and `doc` the row of the data set.
    unscored: items without a score, which the file says or whose evaluation failed.
    """

    format: str
    path: Path
    name: str
    task: str | None
    metric: str
    rows: pd.DataFrame
    unscored: tuple[str, ...] = ()
    asked: Mapping[str, str] = field(default_factory=dict)


def scored_items(
    format: str,
    path: Path,
    name: str,
    task: str | None,
    metric: str,
    rows: Sequence[Mapping[str, Any]],
    asked: Mapping[str, str] | None = None,
) -> ScoredItems:
    """The result that these rows hold; a row whose `score` is None was not scored.

    Raises InputError naming the item whose score is no number in [0, 1] or that is there twice.
    """
    table = pd.DataFrame(list(rows), columns=COLUMNS).astype({"item": str, "seed": "Int64"})
    repeated = table[table.duplicated(["item", "seed"])]
    if len(repeated):
        item, seed = repeated[["item", "seed"]].iloc[0]
        of_seed = "" if pd.isna(seed) else f" with seed {seed}"
        raise InputError(
            f"{path}: item {item} is there twice{of_seed}; give each item one row, and repetitions "
            "of an item a seed each"
        )
    missing = table["score"].isna()
    for item, score in table.loc[~missing, ["item", "score"]].itertuples(index=False):
        if not _is_share(score):
            raise InputError(
                f"{path}: item {item} has {metric} {score!r}, but a score is a number from 0 to 1; "
                "choose another metric or divide by its largest value"
            )
    # an item that one repetition lacks is left out of all
    unscored = tuple(dict.fromkeys(table.loc[missing, "item"]))
    scored = table[~table["item"].isin(unscored)].astype({"score": float})
    if scored.empty:
        raise InputError(f"{path}: no item has a score for {metric}; evaluate it again")
    return ScoredItems(
        format, path, name, task, metric, scored.reset_index(drop=True), unscored, asked or {}
    )


def _is_share(score: Any) -> bool:
    return isinstance(score, bool | int | float) and 0 <= score <= 1


def hash_of(text: str | None) -> str | None:
    """SHA-256 of a text."""
    return None if text is None else hashlib.sha256(text.encode()).hexdigest()


def hash_of_question(text: str | None) -> str | None:
    """The same, where runs of white space count as one space: tools differ in them."""
    return None if text is None else hash_of(" ".join(text.split()))


def chosen_metric(
    path: Path, asked: Sequence[str], known: Sequence[str], corpus: Sequence[str]
) -> str:
    """The metric to compare: the first asked for that there is, or the only one.

    known: metrics with a score for each item. corpus: others, of all items together.
    Raises InputError naming what there is.
    """
    for name in asked:
        if name in known:
            return name
    if not asked and len(known) == 1:
        return known[0]
    choose = f"choose a metric: {' or '.join(map(repr, known))}"
    if together := [name for name in asked or (() if known else corpus) if name in corpus]:
        raise InputError(
            f"{path}: {' and '.join(together)}: computed from all items together, so there is no "
            f"score of each item to compare; {choose if known else 'evaluate another metric'}"
        )
    if not known:
        raise InputError(f"{path}: holds no scores; evaluate it again with a scorer")
    what = f"has no metric {' or '.join(asked)}" if asked else f"holds {len(known)} metrics"
    raise InputError(f"{path}: {what}; {choose}")
