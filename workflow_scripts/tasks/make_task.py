"""Makes a task's four splits and their manifest from its source."""

from __future__ import annotations

import argparse
from pathlib import Path

from workflow_scripts.config.data import DataSettings
from workflow_scripts.runtime.errors import run_entry_point
from workflow_scripts.runtime.files import read_json, write_json
from workflow_scripts.tasks.sources import read_source
from workflow_scripts.tasks.splits import draw_splits, origins, write_splits


def main() -> None:
    arguments = parse_arguments()
    data = DataSettings.model_validate_json(arguments.settings)
    make_task(data, arguments.output_dir, arguments.overflow)


def make_task(data: DataSettings, folder: Path, overflow: Path | None = None) -> None:
    """Writes `<split>.parquet` for each split, then `manifest.json` with their checksums.

    overflow: the task's `overflow.json`, whose items are skipped.

    The manifest counts what was `left_out` of the source splits in use: rows with `other labels`,
    hub rows with `empty texts`, and `overflow`, items that exceed a model's context window.
    """
    excluded = {"items": []} if overflow is None else read_json(overflow)
    source = read_source(data)
    splits = draw_splits(source.splits, data, frozenset(excluded["items"]))
    drawn_from = set(origins(source.splits, data).values())
    write_json(
        folder / "manifest.json",
        {
            "source": data.source,
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


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="DataSettings as JSON")
    parser.add_argument(
        "--overflow", type=Path, nargs="?", help="overflow.json, where such items are excluded"
    )
    parser.add_argument(
        "--output-dir", type=Path, required=True, help="folder of the task's parquet files"
    )
    return parser.parse_args()


if __name__ == "__main__":
    run_entry_point(main)
