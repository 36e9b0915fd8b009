"""Keeps the settings of an experiment beside its results."""

from __future__ import annotations

import json
from pathlib import Path

from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.files import write_json


def main(settings: str, record: Path) -> None:
    """Keep the settings of an experiment beside its results.

    settings: the experiment as JSON.
    record: settings.json, to write.
    """
    write_json(record, json.loads(settings))


if __name__ == "__main__":
    run_program(main)
