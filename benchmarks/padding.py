"""What padding costs a training step, with examples as drawn, sorted in a step, and grouped.

    python -m benchmarks.padding path/to/gsm8k/train.jsonl

takes optimizer steps of the size that the GSM8K study ships (32 examples, 16 in a forward pass) on
the embedded model, each time on the same examples, and prints CPU time and padded tokens.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch
from tabulate import tabulate

from workflow_scripts.config.tasks import PromptSettings
from workflow_scripts.config.terms import CrossEntropyTerm
from workflow_scripts.config.training import LoraSettings
from workflow_scripts.modeling.loading import load_tokenizer, load_weights, open_model
from workflow_scripts.prompts.rendering import Renderer
from workflow_scripts.training.adapters import student_of
from workflow_scripts.training.batches import (
    Collator,
    PhaseSampler,
    RenderedExample,
    Sample,
    batched,
)
from workflow_scripts.training.forward import ForwardPlan, student_outputs
from workflow_scripts.training.objectives import OBJECTIVES
from workflow_scripts.training.tiles import weighted_sum

TERM = CrossEntropyTerm(objective="cross_entropy")
ORDERS = {"as drawn": None, "sorted in a step": 1, "grouped over 8 steps": 8}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("questions", type=Path, help="JSONL with question and answer")
    parser.add_argument("--model", type=Path, default=Path("resources/models/smollm2-135m"))
    parser.add_argument("--batch", type=int, default=32, help="examples in a step")
    parser.add_argument("--micro-batch", type=int, default=16, help="examples in a forward pass")
    parser.add_argument("--steps", type=int, default=8, help="steps of each order")
    parser.add_argument("--tokens-only", action="store_true", help="count, and train nothing")
    asked = parser.parse_args()

    model = open_model(asked.model / "manifest.json")
    rows = [json.loads(line) for line in asked.questions.read_text().splitlines()]
    rows = rows[: asked.steps * asked.batch]
    renderings = Renderer(load_tokenizer(model), PromptSettings()).render(
        [row["question"] for row in rows], [row["answer"] for row in rows]
    )
    student = None if asked.tokens_only else student_of(LoraSettings(), load_weights(model))
    plan = ForwardPlan.of((TERM,))
    collator = Collator(plan.positions)
    lengths = [len(rendering.ids) for rendering in renderings]

    table, first = [], 0
    for name, grouped in ORDERS.items():
        order = PhaseSampler([lengths], [asked.steps], asked.batch, seed=0, grouped=grouped)
        padded, begin = 0, time.process_time()
        for places in batched(order, asked.micro_batch):
            samples = [Sample(RenderedExample("", renderings[place]), {}) for place in places]
            batch = collator(samples)
            padded += batch["input_ids"].numel()
            if student is not None:
                outputs = student_outputs(student, batch, plan)
                loss = OBJECTIVES[TERM.objective].loss(TERM, outputs)
                weighted_sum(outputs, [loss], [1.0])[0].backward()
                student.zero_grad()
        seconds = time.process_time() - begin
        first = first or padded
        table.append([name, padded, padded / first, 1 - sum(lengths) / padded, seconds])
    headers = ["order", "tokens", "ratio", "share of padding", "CPU seconds"]
    print(f"{asked.steps} steps of {asked.batch}, {torch.get_num_threads()} threads\n")
    print(tabulate(table, headers, tablefmt="github", floatfmt=("", ".0f", ".2f", ".2f", ".0f")))


if __name__ == "__main__":
    main()
