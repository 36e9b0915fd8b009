"""The record of a teacher's pass: which targets lie in each of its shards.

The plan reads it to leave these targets where they are. No rule declares it, because Snakemake
deletes declared outputs before it makes them again.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from workflow_scripts.runtime.checksums import checked
from workflow_scripts.runtime.files import read_json, write_json

RECORD = "targets.json"
_FOLDER = "pass-"


def record_pass(folder: Path, names: Iterable[str]) -> None:
    """Write the names of the targets that the shards of a pass hold at least.

    Comes before the first shard that holds these and no others.
    """
    write_json(folder / RECORD, sorted(names))


def recorded_passes(folder: Path) -> dict[int, frozenset[str]]:
    """Number of a pass → names of its targets, of all passes in a teacher's folder.

    Raises InputError when a record is damaged.
    """
    records = folder.glob(f"{_FOLDER}*/{RECORD}")
    return {
        int(record.parent.name.removeprefix(_FOLDER)): frozenset(read_json(checked(record)))
        for record in sorted(records)
    }
