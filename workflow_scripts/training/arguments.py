"""What every program that trains is told."""

from __future__ import annotations

import argparse
from pathlib import Path


def training_parser(description: str | None, settings: str) -> argparse.ArgumentParser:
    """A parser with the arguments that these programs share; each adds its own.

    settings: name of the slice that the program takes.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--settings", required=True, help=f"{settings} as JSON")
    parser.add_argument("--model", type=Path, required=True, help="manifest of the model")
    parser.add_argument("--examples", type=Path, required=True, help="train.parquet of the task")
    parser.add_argument(
        "--targets",
        type=Path,
        nargs="*",
        default=[],
        help="target manifests, in the order of the reads",
    )
    parser.add_argument(
        "--teacher-models",
        type=Path,
        nargs="*",
        default=[],
        help="manifests of the models that these were read from, in the same order",
    )
    return parser
