"""The share of the teacher's probability that its recorded top k hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workflow_scripts.config.base import Name, Strict
from workflow_scripts.results.index import write_table
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.teachers.manifest import DescribedTarget, Mass, read_manifest

# every position, and of an answer its first token, the later ones and the end token
POSITION_KINDS = ("all", "first", "later", "end")
COLUMNS = [
    "model",
    "task",
    "teacher",
    "target",
    "author",
    "draw",
    "kind",
    "positions",
    "top_k",
    "mass_mean",
    "mass_min",
    "share_above_999",
]


class TargetEntry(Strict):
    """Manifest of one shard of a teacher's target.

    author: whose answers it is of: `gold`, or who generated them and how.
    draw: None where it is the same in each.
    """

    model: Name
    task: Name
    teacher: Name
    target: Name
    author: str = "gold"
    draw: int | None = None
    manifest: Path


def main(index: list[TargetEntry], table: Path) -> None:
    """Make targets.csv from the manifests of the shards of a model's targets on a task."""
    write_table(target_table(index), table)


def target_table(entries: Iterable[TargetEntry]) -> pd.DataFrame:
    """targets.csv: one row for each target of logits, sorted or not, and kind of position.

    `mass_mean` and `mass_min` are over positions of the probability (at temperature 1) that the
    top k tokens hold together, `share_above_999` the share of positions where it is at least
    0.999; `top_k` is a number or `all`. Targets of other kinds have no rows.

    Raises InputError naming the manifest that is missing or malformed.
    """
    shards: dict[str, list[TargetEntry]] = {}
    for entry in entries:
        key = entry.model_dump_json(exclude={"manifest"})
        shards.setdefault(key, []).append(entry)
    table = pd.DataFrame([row for own in shards.values() for row in _rows(own)], columns=COLUMNS)
    return table.astype({"draw": "Int64"})


def _rows(shards: Sequence[TargetEntry]) -> list[dict[str, Any]]:
    """shards: all of one target."""
    described = [_described(shard) for shard in shards]
    masses = {kind: [d.mass[kind] for d in described if kind in d.mass] for kind in POSITION_KINDS}
    return [
        shards[0].model_dump(exclude={"manifest"})
        | {"kind": kind, "top_k": described[0].target.top_k}
        | _together(of_shards)
        for kind, of_shards in masses.items()
        if of_shards
    ]


def _described(entry: TargetEntry) -> DescribedTarget:
    found = read_manifest(entry.manifest).targets.get(entry.target)
    if found is None:
        raise InputError(
            f"{entry.manifest}: holds no target {entry.target}; delete "
            f"{entry.manifest.parents[1]} and rerun"
        )
    return found


def _together(masses: Sequence[Mass]) -> dict[str, float]:
    positions = np.array([mass.positions for mass in masses])
    share = positions / positions.sum()
    return {
        "positions": int(positions.sum()),
        "mass_mean": float(share @ [mass.mean for mass in masses]),
        "mass_min": min(mass.min for mass in masses),
        "share_above_999": float(share @ [mass.share_above_999 for mass in masses]),
    }


if __name__ == "__main__":
    run_program(main)
