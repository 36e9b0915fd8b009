"""What a teacher's answers cost beside the in-context evaluation of as many items.

Both programs run in this process, after a short run of each: `evaluation.complete_base` on the
items, half of them as validation and half as test, and `answers.teacher_answers` on the same items.
The first generates and scores the gold answers, the second generates and scores what it generated.

Run from the project's root, after `make demo` has fetched the model:

    python -m benchmarks.answer_cost

Exits with status 1 when the answers cost more than 1.6 times the CPU seconds of the evaluation,
which need not generate what the gold answers show.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from tabulate import tabulate

from workflow_scripts.answers import teacher_answers
from workflow_scripts.config.slices import AnswersSlice, ContextSettings, EngineSettings
from workflow_scripts.config.tasks import GenerationSettings, PromptSettings
from workflow_scripts.evaluation import complete_base
from workflow_scripts.runtime.errors import run_entry_point
from workflow_scripts.runtime.files import read_json
from workflow_scripts.tasks.examples import Example, write_examples

TOLERANCE = 1.6
HEADERS = ["program", "items", "CPU seconds", "wall seconds"]


def main() -> None:
    arguments = parse_arguments()
    with arguments.examples.open() as lines:
        rows = [json.loads(line) for line in islice(lines, arguments.shots + arguments.items)]
    examples = [
        Example(str(number), row["question"], row["answer"]) for number, row in enumerate(rows)
    ]
    shown, asked = examples[: arguments.shots], examples[arguments.shots :]
    with TemporaryDirectory() as folder:
        # once before it counts: the first pass fetches memory and imports libraries
        for program in (evaluate, answer):
            program(arguments, shown, asked[:4], Path(folder) / "first")
        costs = {
            program.__name__: program(arguments, shown, asked, Path(folder) / "measured")
            for program in (evaluate, answer)
        }
    seconds = {name: cost["cpu_seconds"] for name, cost in costs.items()}
    table = [
        [name, cost["answers"], seconds[name], cost["wall_seconds"]] for name, cost in costs.items()
    ]
    print(f"{arguments.shots} shots, {torch.get_num_threads()} threads\n")
    print(tabulate(table, HEADERS, tablefmt="github", floatfmt=".1f"))
    ratio = seconds["answer"] / seconds["evaluate"]
    print(f"\nanswers cost {ratio:.2f} times the CPU seconds of the evaluation")
    sys.exit(ratio > TOLERANCE)


def evaluate(
    arguments: argparse.Namespace, shown: Sequence[Example], asked: Sequence[Example], folder: Path
) -> dict[str, float]:
    """The cost of the in-context evaluation."""
    splits = {
        "demonstrations": shown,
        "validation": asked[: len(asked) // 2],
        "test": asked[len(asked) // 2 :],
    }
    for name, examples in splits.items():
        write_examples(folder / f"{name}.parquet", examples)
    complete_base.main(
        settings_of(arguments),
        arguments.model,
        *(folder / f"{name}.parquet" for name in splits),
        completions=folder / "completions.parquet",
        cost=folder / "inference.json",
    )
    return read_cost(folder / "inference.json")


def answer(
    arguments: argparse.Namespace, shown: Sequence[Example], asked: Sequence[Example], folder: Path
) -> dict[str, float]:
    """The cost of a teacher's answers."""
    write_examples(folder / "demonstrations.parquet", shown)
    write_examples(folder / "train.parquet", asked)
    teacher_answers.main(
        settings_of(arguments),
        arguments.model,
        folder / "demonstrations.parquet",
        folder / "train.parquet",
        answers=folder / "answers.parquet",
        cost=folder / "answers.json",
    )
    return read_cost(folder / "answers.json")


def read_cost(path: Path) -> dict[str, float]:
    cost: dict[str, float] = read_json(path)
    return cost


def settings_of(arguments: argparse.Namespace) -> AnswersSlice:
    return AnswersSlice(
        prompt=PromptSettings(),
        generation=GenerationSettings(max_new_tokens=12),
        labels=None,
        context=ContextSettings(shots=arguments.shots, answers="correct", seed=0),
        engine=EngineSettings(kind="transformers", batch_size=arguments.batch_size, server=None),
        scorer="word",
        samples=1,
        temperature=0.0,
        seed=0,
    )


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=Path, default=Path("resources/tasks/plural.jsonl"))
    parser.add_argument(
        "--model", type=Path, default=Path("resources/models/smollm2-135m/manifest.json")
    )
    parser.add_argument("--shots", type=int, default=8)
    parser.add_argument("--items", type=int, default=160)
    parser.add_argument("--batch-size", type=int, default=32)
    return parser.parse_args()


if __name__ == "__main__":
    run_entry_point(main)
