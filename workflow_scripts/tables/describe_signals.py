"""Makes signals.csv: what the top k of each logit signal of a model and task hold."""

from __future__ import annotations

import argparse
from pathlib import Path

from workflow_scripts.results.index import parse_entries, write_table
from workflow_scripts.runtime.errors import run_entry_point
from workflow_scripts.tables.signals import SignalEntry, signal_table


def main() -> None:
    arguments = parse_arguments()
    entries = parse_entries(SignalEntry, arguments.index)
    write_table(signal_table(entries), arguments.output)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--index", required=True, help="JSON list of the signals' manifests")
    parser.add_argument("--output", type=Path, required=True, help="signals.csv")
    return parser.parse_args()


if __name__ == "__main__":
    run_entry_point(main)
