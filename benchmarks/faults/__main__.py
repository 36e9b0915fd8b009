"""Tries faults of one kind; prints the counts and each fault, and exits 1 if there are any."""

from __future__ import annotations

import argparse
import importlib
import sys

from benchmarks.faults.counts import Counts

KINDS = ("configs", "damages", "kills", "double-starts", "servers")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--count", type=int, default=100, help="trials (default: 100)")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of faults (default: 0)")
    asked = parser.parse_args()
    module = importlib.import_module(f"benchmarks.faults.{asked.kind.replace('-', '_')}")
    counts: Counts = module.run(asked.count, asked.seed)
    print(f"{asked.kind}: {counts}")
    for fault in counts.faults:
        print(f"- {fault}")
    sys.exit(1 if counts.faults else 0)


if __name__ == "__main__":
    main()
