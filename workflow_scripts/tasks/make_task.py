"""Makes a task's four splits and their manifest from its source."""

from __future__ import annotations

from pathlib import Path

from workflow_scripts.config.data import DataSettings
from workflow_scripts.runtime.checksums import checked
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.files import read_json, write_json
from workflow_scripts.runtime.home import without_home
from workflow_scripts.tasks.origins import origins
from workflow_scripts.tasks.sources import read_source
from workflow_scripts.tasks.splits import draw_splits, write_splits


def main(settings: DataSettings, folder: Path, overflow: Path | None = None) -> None:
    """Make a task's four splits and their manifest from its source.

    folder: of the task's parquet files.
    overflow: overflow.json, where items that fit no context are excluded.
    """
    make_task(settings, folder, overflow)


def make_task(data: DataSettings, folder: Path, overflow: Path | None = None) -> None:
    """Writes `<split>.parquet` for each split, then `manifest.json` with their checksums.

    overflow: the task's `overflow.json`, whose items are skipped.

    The manifest counts what was `left_out` of the source splits in use: rows with `other labels`,
    hub rows with `empty texts`, and `overflow`, items that exceed a model's context window.
    """
    excluded = {"items": []} if overflow is None else read_json(checked(overflow))
    source = read_source(data)
    splits = draw_splits(source.splits, data, frozenset(excluded["items"]), source.unanswered)
    drawn_from = set(origins(source.splits, data).values())
    write_json(
        folder / "manifest.json",
        {
            "source": without_home(data.source),
            "subset": data.subset,
            "revision": data.revision,
            "seed": data.seed,
            "left_out": {
                "other labels": sum(source.other_labels.get(name, 0) for name in drawn_from),
                "empty texts": sum(source.no_text.get(name, 0) for name in drawn_from),
                "overflow": len(excluded["items"]),
            },
            "overflow": {key: value for key, value in excluded.items() if key != "items"},
            **write_splits(folder, splits),
        },
    )


if __name__ == "__main__":
    run_program(main)
