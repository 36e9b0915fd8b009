"""Trains a small model from scratch, with a tokenizer of its own, on examples of tasks."""

from __future__ import annotations

from pathlib import Path

from workflow_scripts.config.slices import PretrainingSlice
from workflow_scripts.pretraining.run import pretrain
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.lock import hold
from workflow_scripts.tasks.examples import read_examples


def main(settings: PretrainingSlice, examples: list[Path], manifest: Path) -> None:
    """Train a small model from scratch, with a tokenizer of its own, on examples of tasks.

    examples: train.parquet of each task, in the order of the prompts.
    manifest: manifest.json to write; its folder is made.
    """
    hold(manifest.parent)
    files = zip(settings.prompts, examples, strict=True)
    pretrain(settings, {task: read_examples(file) for task, file in files}, manifest.parent)


if __name__ == "__main__":
    run_program(main)
