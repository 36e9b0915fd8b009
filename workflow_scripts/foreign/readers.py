"""The formats of foreign results, each with the module that reads it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from workflow_scripts.foreign import harness, inspect_log, table
from workflow_scripts.foreign.scores import ScoredItems
from workflow_scripts.runtime.errors import InputError


class Reader(NamedTuple):
    """fits: whether a file is of the format, from its name and its beginning.
    read: the results that it holds, by the first of the metrics wanted."""

    fits: Callable[[Path], bool]
    read: Callable[[Path, Sequence[str]], list[ScoredItems]]


# the first that fits reads a file
READERS = {
    "file of samples of lm-evaluation-harness": Reader(harness.is_samples, harness.read_samples),
    "log of Inspect": Reader(inspect_log.is_log, inspect_log.read_log),
    "table of scores": Reader(table.is_table, table.read_scores),
}


def read_results(path: Path, metrics: Sequence[str] = ()) -> list[ScoredItems]:
    """The results of a file of any format.

    metrics: wanted; the first that the file holds is read.
    Raises InputError naming the file and what to do, if it cannot be read or is not clear.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    for kind, reader in READERS.items():
        if not reader.fits(path):
            continue
        try:
            return reader.read(path, metrics)
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise InputError(
                f"{path}: is not a {kind} as known versions write it "
                f"({type(error).__name__}: {error}); give a table with item and score"
            ) from error
    raise InputError(
        f"{path}: is no result that can be read; give samples_*.jsonl of lm-evaluation-harness, a "
        "log of Inspect (.eval, .json), or a .csv, .jsonl or .parquet table with item and score"
    )
