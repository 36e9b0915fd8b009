"""Makes the four splits of a mixture and their manifest from the splits of its tasks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from workflow_scripts.config.data import DataSettings
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.files import write_json
from workflow_scripts.tasks.examples import read_examples
from workflow_scripts.tasks.mixture import mix
from workflow_scripts.tasks.shares import SPLITS, allot
from workflow_scripts.tasks.splits import write_splits


def main(settings: DataSettings, examples: list[Path], folder: Path) -> None:
    """Make the splits of a mixture of tasks and their manifest from the splits of its tasks.

    examples: the splits of each task of the mixture, in its order.
    folder: of the mixture's parquet files.
    """
    files = iter(examples)
    components = {task: {split: next(files) for split in SPLITS} for task in settings.mixture or ()}
    mix_tasks(settings, components, folder)


def mix_tasks(
    data: DataSettings, components: Mapping[str, Mapping[str, Path]], folder: Path
) -> None:
    """Writes `<split>.parquet` for each split, then `manifest.json` with their checksums.

    components: task → split → its file. The manifest counts the items of each in every split.
    Raises InputError if a component has fewer items than the mixture takes.
    """
    if data.mixture is None:
        raise ValueError(f"{data.source} is no mixture")
    examples = {
        task: {split: read_examples(file) for split, file in files.items()}
        for task, files in components.items()
    }
    splits = mix(examples, data.items, data.mixture, data.seed)
    write_json(
        folder / "manifest.json",
        {
            "source": data.source,
            "mixture": data.mixture,
            "seed": data.seed,
            "components": {
                split: allot(len(mixed), data.mixture) for split, mixed in splits.items()
            },
            **write_splits(folder, splits),
        },
    )


if __name__ == "__main__":
    run_program(main)
