"""Keeps the settings that the results were made with beside them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from workflow_scripts.runtime.errors import run_entry_point
from workflow_scripts.runtime.files import write_json


def main() -> None:
    arguments = parse_arguments()
    write_json(arguments.output, json.loads(arguments.settings))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="the experiment as JSON")
    parser.add_argument("--output", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    run_entry_point(main)
