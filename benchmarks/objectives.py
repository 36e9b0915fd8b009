"""CPU seconds and memory of a training step under each objective that reads logits.

    OMP_NUM_THREADS=1 python -m benchmarks.objectives

builds a Qwen3 with random weights and takes steps on random batches, the objectives in turn. With
`--memory` it measures the peak above the weights instead (on Linux); teacher targets, which a step
is given, are not counted.
"""

from __future__ import annotations

import argparse
import ctypes
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
import torch
from tabulate import tabulate
from torch import Tensor
from tqdm import trange
from transformers import AutoModelForCausalLM, Qwen3Config

from benchmarks.training_step import LORA
from workflow_scripts.config.terms import (
    CrossEntropyTerm,
    LogitJSDTerm,
    LogitKLTerm,
    LogitMSETerm,
    LogitReverseKLTerm,
    Term,
    ULDTerm,
)
from workflow_scripts.modeling.language_head import AfterHead, after_head
from workflow_scripts.prompts.rendering import Rendering
from workflow_scripts.teachers.targets import SortedLogits, TopK
from workflow_scripts.training.adapters import student_of
from workflow_scripts.training.batches import Collator, RenderedExample, Sample
from workflow_scripts.training.forward import ForwardPlan, student_outputs
from workflow_scripts.training.objectives import OBJECTIVES
from workflow_scripts.training.terms import reads_of
from workflow_scripts.training.tiles import weighted_sum

KL = {"position": "answer", "weight": 1.0, "top_k": 256, "temperature": 2.0, "reduction": "mean"}
MSE = {"position": "answer", "weight": 1.0, "top_k": 256, "reduction": "mean"}
SFT = CrossEntropyTerm(objective="cross_entropy")
ANSWER_KL = LogitKLTerm(objective="logit_kl", **KL)
MEGABYTE = 2**20

Student = tuple[Any, AfterHead | None]


def conditions(vocabulary: int) -> dict[str, tuple[Term, ...]]:
    return {
        "sft": (SFT,),
        "answer-kl": (ANSWER_KL,),
        "sft and answer-kl": (SFT, ANSWER_KL),
        "reverse KL": (LogitReverseKLTerm(objective="logit_reverse_kl", **KL),),
        "JSD": (LogitJSDTerm(objective="logit_jsd", beta=0.5, **KL),),
        "MSE": (LogitMSETerm(objective="logit_mse", **MSE),),
        "ULD, top 256": (ULDTerm(objective="uld", weight=1.0, top_k=256),),
        "ULD, exact": (ULDTerm(objective="uld", weight=1.0, top_k=vocabulary),),
    }


def main() -> None:
    asked = parse_arguments()
    chosen = conditions(asked.vocabulary)
    student = random_student(asked)
    measure = peak_memory if asked.memory else cpu_seconds
    found = measure(student, chosen, asked)
    rows = [[name, value, value / found["sft"]] for name, value in found.items()]
    print(
        f"{asked.layers} layers × {asked.width}, vocabulary {asked.vocabulary}, {asked.batch} × "
        f"({asked.prompt} + {asked.answer}) tokens, {torch.get_num_threads()} threads\n"
    )
    headers = ["objective", "MB above the weights" if asked.memory else "CPU seconds", "of sft's"]
    digits = ("", ".0f" if asked.memory else ".2f", ".2f")
    print(tabulate(rows, headers, tablefmt="github", floatfmt=digits))


def cpu_seconds(
    student: Student, chosen: Mapping[str, tuple[Term, ...]], asked: argparse.Namespace
) -> dict[str, float]:
    """The fastest of some steps under each objective, taken in turn after one unmeasured."""
    steps = {name: prepared_step(student, terms, asked) for name, terms in chosen.items()}
    best = dict.fromkeys(chosen, float("inf"))
    for number in trange(asked.steps + 1):
        for name, take_step in steps.items():
            begin = time.process_time()
            take_step()
            if number:
                best[name] = min(best[name], time.process_time() - begin)
    return best


def peak_memory(
    student: Student, chosen: Mapping[str, tuple[Term, ...]], asked: argparse.Namespace
) -> dict[str, float]:
    """The most MB that a step of each objective adds to what the process holds before it."""
    found = {}
    for name, terms in chosen.items():
        take_step = prepared_step(student, terms, asked)
        ctypes.CDLL(None).malloc_trim(0)
        before = psutil.Process().memory_info().rss
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        take_step()
        (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        found[name] = (1024 * int(peak) - before) / MEGABYTE
    return found


def random_student(asked: argparse.Namespace) -> Student:
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=asked.vocabulary,
        hidden_size=asked.width,
        intermediate_size=3 * asked.width,
        num_hidden_layers=asked.layers,
        num_attention_heads=asked.width // 64,
        num_key_value_heads=asked.width // 64,
        head_dim=64,
        tie_word_embeddings=True,
    )
    model = AutoModelForCausalLM.from_config(config)
    # as decided as a trained model
    model.get_decoder().norm.weight.data.mul_(0.15 * asked.width**0.5)
    steps = after_head(model)
    return student_of(LORA, model), steps


def prepared_step(
    given: Student, terms: tuple[Term, ...], asked: argparse.Namespace
) -> Callable[[], None]:
    student, steps = given
    plan = ForwardPlan.of(terms)
    batch = random_batch(plan, asked)
    targets = [random_target(reads_of(term).target, asked) for term in terms]

    def take_step() -> None:
        outputs = student_outputs(student, batch, plan, steps)
        losses = [
            OBJECTIVES[term.objective].loss(term, outputs, *target)
            for term, target in zip(terms, targets, strict=True)
        ]
        loss, _ = weighted_sum(outputs, losses, [term.weight for term in terms])
        loss.backward()
        student.zero_grad()

    return take_step


def random_batch(plan: ForwardPlan, asked: argparse.Namespace) -> dict[str, Any]:
    samples = [
        Sample(
            RenderedExample(
                "",
                Rendering(
                    ids=tuple(
                        torch.randint(asked.vocabulary, (asked.prompt + asked.answer,)).tolist()
                    ),
                    question=0,
                    query=asked.prompt - 8,
                    prompt=asked.prompt - 1,
                    boundaries=tuple(range(asked.answer)),
                ),
            ),
            {},
        )
        for _ in range(asked.batch)
    ]
    return Collator(plan.positions)(samples)


def random_target(target: Any, asked: argparse.Namespace) -> list[Any]:
    """Of a teacher with logits of about the student's spread."""
    if target is None:
        return []
    logits = 3 * torch.randn(asked.answer, asked.vocabulary)
    values, indices = logits.topk(target.top_k)
    logsumexp = (logits / target.temperature).logsumexp(-1)

    def repeated(rows: Tensor) -> Tensor:
        return rows.repeat(asked.batch, *([1] * (rows.dim() - 1)))

    if target.kind == "logits":
        return [TopK(repeated(values), repeated(indices), repeated(logsumexp), target.temperature)]
    places = torch.arange(asked.answer)
    examples = torch.arange(asked.batch).repeat_interleave(asked.answer)
    return [
        SortedLogits(
            repeated(values),
            repeated(logsumexp),
            repeated(places),
            examples,
            asked.vocabulary,
            target.temperature,
        )
    ]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--memory", action="store_true", help="measure memory instead of time")
    parser.add_argument("--vocabulary", type=int, default=151936)
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--batch", type=int, default=8, help="examples in a step")
    parser.add_argument("--prompt", type=int, default=16, help="tokens of a question")
    parser.add_argument("--answer", type=int, default=128, help="tokens of an answer")
    parser.add_argument("--steps", type=int, default=3, help="measured steps, after one unmeasured")
    return parser.parse_args()


if __name__ == "__main__":
    main()
