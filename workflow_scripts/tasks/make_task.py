"""Makes a task's four splits and their manifest from its source."""

from __future__ import annotations

import argparse
from pathlib import Path

from workflow_scripts.errors import run_entry_point
from workflow_scripts.files import sha256_of, write_json
from workflow_scripts.settings import DataSettings
from workflow_scripts.tasks.examples import write_examples
from workflow_scripts.tasks.sources import read_source
from workflow_scripts.tasks.splits import draw_splits


def main() -> None:
    arguments = parse_arguments()
    make_task(DataSettings.model_validate_json(arguments.settings), arguments.output_dir)


def make_task(data: DataSettings, folder: Path) -> None:
    """Writes `<split>.parquet` for each split, then `manifest.json`, which vouches for them."""
    splits = draw_splits(read_source(data), data)
    files = {split: folder / f"{split}.parquet" for split in splits}
    for split, examples in splits.items():
        write_examples(files[split], examples)
    write_json(
        folder / "manifest.json",
        {
            "source": data.source,
            "subset": data.subset,
            "revision": data.revision,
            "seed": data.seed,
            "counts": {split: len(examples) for split, examples in splits.items()},
            "sha256": {file.name: sha256_of(file) for file in files.values()},
        },
    )


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="DataSettings as JSON")
    parser.add_argument(
        "--output-dir", type=Path, required=True, help="folder of the task's parquet files"
    )
    return parser.parse_args()


if __name__ == "__main__":
    run_entry_point(main)
