"""What every program that completes items is told, and what a killed one continues from."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workflow_scripts.runtime.resume import discard_states, fingerprint_of, open_state
from workflow_scripts.tasks.examples import Example, read_examples


def completion_parser(description: str | None) -> argparse.ArgumentParser:
    """A parser with the arguments that these programs share; each adds its own."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--settings", required=True, help="CompletionSlice as JSON")
    parser.add_argument("--model", type=Path, required=True, help="manifest of the model")
    parser.add_argument("--validation", type=Path, required=True, help="parquet file of the split")
    parser.add_argument("--test", type=Path, required=True, help="parquet file of the split")
    parser.add_argument("--output", type=Path, required=True, help="completions.parquet")
    return parser


def read_splits(arguments: argparse.Namespace) -> dict[str, list[Example]]:
    """The items to complete, by split."""
    return {
        "validation": read_examples(arguments.validation),
        "test": read_examples(arguments.test),
    }


@contextmanager
def state_of(arguments: argparse.Namespace, entry_point: str) -> Iterator[Path]:
    """The folder that this job continues from, removed when the block ends without error.

    It belongs to the settings, the contents of all files that the program reads, and its code.
    entry_point: `<stage>.<rule>`.
    """
    inputs = [
        value
        for name, value in vars(arguments).items()
        if isinstance(value, Path) and name not in ("output", "cost")
    ]
    parent = arguments.output.parent / ".completing"
    yield open_state(parent, fingerprint_of(arguments.settings, inputs, entry_point))
    discard_states(parent)
