"""CPU seconds and memory of a training step under each objective that reads logits.

    OMP_NUM_THREADS=1 python -m benchmarks.objectives

builds a Qwen3 of a few layers with random weights and the vocabulary of the real ones, and takes
steps on random batches, the objectives in turn. Memory is the peak above the weights, in a process
of its own for each objective; teacher targets, which a step is given, are not counted.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable
from multiprocessing import get_context
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

VOCABULARY = 151936
KL = {"position": "answer", "weight": 1.0, "top_k": 256, "temperature": 2.0, "reduction": "mean"}
MSE = {"position": "answer", "weight": 1.0, "top_k": 256, "reduction": "mean"}
SFT = CrossEntropyTerm(objective="cross_entropy")
ANSWER_KL = LogitKLTerm(objective="logit_kl", **KL)
CONDITIONS: dict[str, tuple[Term, ...]] = {
    "sft": (SFT,),
    "answer-kl": (ANSWER_KL,),
    "sft and answer-kl": (SFT, ANSWER_KL),
    "reverse KL": (LogitReverseKLTerm(objective="logit_reverse_kl", **KL),),
    "JSD": (LogitJSDTerm(objective="logit_jsd", beta=0.5, **KL),),
    "MSE": (LogitMSETerm(objective="logit_mse", **MSE),),
    "ULD, top 256": (ULDTerm(objective="uld", weight=1.0, top_k=256),),
    "ULD, exact": (ULDTerm(objective="uld", weight=1.0, top_k=VOCABULARY),),
}
MEGABYTE = 2**20

Student = tuple[Any, AfterHead | None]


def main() -> None:
    asked = parse_arguments()
    chosen = {name: terms for name, terms in CONDITIONS.items() if name in asked.objectives}
    student = random_student(asked)
    memory = {}
    for name, terms in chosen.items():
        # a copy of this process, before it has taken a step
        with get_context("fork").Pool(1, _take, (student, terms, asked)) as alone:
            memory[name] = alone.apply(peak_memory)
    seconds = cpu_seconds(student, chosen, asked)
    rows = [[name, seconds[name], seconds[name] / seconds["sft"], memory[name]] for name in chosen]
    print(
        f"{asked.layers} layers × {asked.width}, vocabulary {VOCABULARY}, {asked.batch} × "
        f"{asked.prompt} + {asked.answer} tokens, {asked.dtype}, {torch.get_num_threads()} threads\n"
    )
    headers = ["objective", "CPU seconds a step", "of sft's", "MB above the weights"]
    print(tabulate(rows, headers, tablefmt="github", floatfmt=("", ".2f", ".2f", ".0f")))


def cpu_seconds(
    student: Student, chosen: dict[str, tuple[Term, ...]], asked: argparse.Namespace
) -> dict[str, float]:
    """The fastest of some steps under each objective, taken in turn."""
    best = dict.fromkeys(chosen, float("inf"))
    for _ in trange(asked.steps + 1):
        for name, terms in chosen.items():
            take_step = prepared_step(student, terms, asked)
            begin = time.process_time()
            take_step()
            best[name] = min(best[name], time.process_time() - begin)
    return best


def _take(*given: Any) -> None:
    global _given
    _given = given


def peak_memory() -> float:
    """MB above what the process holds before its first step."""
    take_step = prepared_step(*_given)
    before = psutil.Process().memory_info().rss
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    take_step()
    status = Path("/proc/self/status").read_text()
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
    return (1024 * int(peak) - before) / MEGABYTE


def random_student(asked: argparse.Namespace) -> Student:
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=VOCABULARY,
        hidden_size=asked.width,
        intermediate_size=3 * asked.width,
        num_hidden_layers=asked.layers,
        num_attention_heads=asked.width // 128,
        num_key_value_heads=asked.width // 128,
        head_dim=128,
        tie_word_embeddings=True,
    )
    model = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, asked.dtype))
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
                    ids=tuple(torch.randint(VOCABULARY, (asked.prompt + asked.answer,)).tolist()),
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
    logits = 3 * torch.randn(asked.answer, VOCABULARY)
    values, indices = logits.sort(descending=True)
    values, indices = values[:, : target.top_k], indices[:, : target.top_k]
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
            VOCABULARY,
            target.temperature,
        )
    ]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objectives", nargs="+", default=list(CONDITIONS), choices=CONDITIONS)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--batch", type=int, default=4, help="examples in a step")
    parser.add_argument("--prompt", type=int, default=16, help="tokens of a question")
    parser.add_argument("--answer", type=int, default=64, help="tokens of an answer")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--steps", type=int, default=3, help="measured steps, after one unmeasured")
    return parser.parse_args()


if __name__ == "__main__":
    main()
