"""Makes targets.csv: what the top k of each logit target of a model and task hold."""

from __future__ import annotations

import argparse
from pathlib import Path

from workflow_scripts.results.index import parse_entries, write_table
from workflow_scripts.runtime.errors import run_entry_point
from workflow_scripts.tables.targets import TargetEntry, target_table


def main() -> None:
    arguments = parse_arguments()
    entries = parse_entries(TargetEntry, arguments.index)
    write_table(target_table(entries), arguments.output)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--index", required=True, help="JSON list of the targets' manifests")
    parser.add_argument("--output", type=Path, required=True, help="targets.csv")
    return parser.parse_args()


if __name__ == "__main__":
    run_entry_point(main)
