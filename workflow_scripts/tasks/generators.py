"""Reproducible items of reasoning_gym's data sets.

Some of them depend on the process's string hash and the global random states, not only on their
seed. So items are drawn in a separate process, `python -m workflow_scripts.tasks.generators`, that
fixes both.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.errors import InputError

# data sets that cannot be a task
REFUSED = {
    "codeio": "its answers hold the time of the draw, so no draw can be repeated",
    "composite": "it only mixes other data sets; name one of those, or make a mixture of tasks",
}
# a data set of another size may have other items
_BLOCK = 1000
# draws for each wanted item before a data set counts as exhausted
_DRAWS = 10

Rows = Iterator[tuple[str, Mapping[str, Any]]]


def generated_rows(name: str, counts: Mapping[str, int], seed: int, spare: bool) -> Rows:
    """(split, row) for the count of each split; fewer if a data set repeats itself.

    No question appears twice. Each split has its own random stream, so more items in one split
    change none of an earlier split.
    spare: yield up to ten times the count, for a task that skips rows.

    Raises InputError if the data set cannot be drawn.
    """
    with TemporaryDirectory() as folder:
        output = Path(folder, "rows.jsonl")  # some data sets print to standard output
        command = [sys.executable, "-m", "workflow_scripts.tasks.generators", "--name", name]
        command += ["--counts", json.dumps(counts), "--seed", str(seed), "--output", str(output)]
        command += ["--spare"] if spare else []
        done = subprocess.run(command, env=environment(), capture_output=True, text=True)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise InputError(f"reasoning_gym:{name}: its items cannot be drawn ({reason})")
        with output.open() as lines:
            for line in lines:
                split, row = json.loads(line)
                yield split, row


def environment() -> dict[str, str]:
    """Environment of the drawing process: the same import path, a fixed string hash."""
    return os.environ | {"PYTHONHASHSEED": "0", "PYTHONPATH": os.pathsep.join(sys.path)}


def draw_rows(name: str, counts: Mapping[str, int], seed: int, spare: bool) -> Rows:
    """`generated_rows`, drawn in this process."""
    questions: set[str] = set()
    for number, (split, wanted) in enumerate(counts.items()):
        draws = _DRAWS * wanted
        fresh = _unseen(_stream(name, [seed, number], draws), questions)
        yield from ((split, row) for row in islice(fresh, draws if spare else wanted))


def _unseen(rows: Iterator[Mapping[str, Any]], questions: set[str]) -> Iterator[Mapping[str, Any]]:
    for row in rows:
        if row["question"] not in questions:
            questions.add(row["question"])
            yield row


def _stream(name: str, entropy: Sequence[int], draws: int) -> Iterator[Mapping[str, Any]]:
    import reasoning_gym  # slow to import

    for number in range(draws):
        block, index = divmod(number, _BLOCK)
        # a data set seeds row n with its own seed + n
        start = int(np.random.default_rng([*entropy, block]).integers(2**31))
        if not index:
            _seed_globally(start)
            rows = reasoning_gym.create_dataset(name, seed=start, size=_BLOCK)
        _seed_globally(start + index)
        try:
            yield rows[index]
        except IndexError:  # no item found this time
            continue


def _seed_globally(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)


def main(name: str, counts: dict[str, int], seed: int, output: Path, spare: bool = False) -> None:
    """Draw items of a data set of reasoning_gym.

    counts: split to its number of items, as JSON.
    spare: draw more than are asked for.
    output: rows.jsonl.
    """
    with output.open("w") as file:
        for drawn in draw_rows(name, counts, seed, spare):
            file.write(json.dumps(drawn, default=str, skipkeys=True) + "\n")


if __name__ == "__main__":
    run_program(main)
