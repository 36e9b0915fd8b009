"""The record of a teacher's pass: which targets lie in each of its shards.

The plan reads it to leave these targets where they are. No rule declares it, because Snakemake
deletes declared outputs before it makes them again.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import write_json

RECORD = "targets.json"
_FOLDER = "pass-"
_NAMES = TypeAdapter(frozenset[str])


def record_pass(folder: Path, names: Iterable[str]) -> None:
    """Write the names of the targets that the shards of a pass hold at least.

    Comes before the first shard that holds these and no others. Has no checksum beside it: a plan
    may read it at any time, and so between the two.
    """
    write_json(folder / RECORD, sorted(names), checksum=False)


def recorded_passes(folder: Path) -> dict[int, frozenset[str]]:
    """Number of a pass → names of its targets, of all passes in a teacher's folder.

    Raises InputError when a record cannot be read.
    """
    records = sorted(folder.glob(f"{_FOLDER}*/{RECORD}"))
    return {int(r.parent.name.removeprefix(_FOLDER)): _names_in(r) for r in records}


def _names_in(record: Path) -> frozenset[str]:
    try:
        return _NAMES.validate_json(record.read_bytes())
    except ValidationError:
        raise InputError(
            f"{record}: not the record of a teacher's pass; delete its folder and rerun"
        ) from None
