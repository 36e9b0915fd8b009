"""The share of the teacher's probability that its recorded top k hold."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from workflow_scripts.config.base import Name, Strict
from workflow_scripts.results.index import write_table
from workflow_scripts.runtime.checksums import checked
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import read_json

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
    """Manifest of one target of a teacher.

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
    """Make targets.csv from the manifests of a model's targets on a task."""
    write_table(target_table(index), table)


def target_table(entries: Iterable[TargetEntry]) -> pd.DataFrame:
    """targets.csv: one row for each target of logits, sorted or not, and kind of position.

    `mass_mean` and `mass_min` are over positions of the probability (at temperature 1) that the
    top k tokens hold together, `share_above_999` the share of positions where it is at least
    0.999; `top_k` is a number or `all`. Targets of other kinds have no rows.

    Raises InputError naming the manifest that is missing or malformed.
    """
    table = pd.DataFrame([row for entry in entries for row in _rows(entry)], columns=COLUMNS)
    return table.astype({"draw": "Int64"})


def _rows(entry: TargetEntry) -> list[dict[str, Any]]:
    manifest = read_json(checked(entry.manifest))
    try:
        target = manifest["target"]
        if target["top_k"] is None:
            return []
        masses = manifest["mass"]
        return [
            entry.model_dump(exclude={"manifest"})
            | {
                "kind": kind,
                "positions": mass["positions"],
                "top_k": target["top_k"],
                "mass_mean": mass["mean"],
                "mass_min": mass["min"],
                "share_above_999": mass["share_above_999"],
            }
            for kind in POSITION_KINDS
            if kind in masses
            for mass in [masses[kind]]
        ]
    except (KeyError, TypeError):
        raise InputError(
            f"{entry.manifest}: not the manifest of a target; delete it and rerun"
        ) from None


if __name__ == "__main__":
    run_program(main)
