"""Tokens per second and peak memory of one training step, with random weights of a real size.

    python -m benchmarks.training_step

builds a Qwen3 of 1.7 billion random weights (the speed of a step does not depend on their values)
and takes optimizer steps on random batches under two conditions of the Qwen3 study: plain
fine-tuning, and matching the hidden states of every layer. Runs on the GPU where there is one.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from tabulate import tabulate
from torch import Tensor
from tqdm import trange
from transformers import AutoModelForCausalLM, PreTrainedModel, Qwen3Config

from workflow_scripts.config.terms import CrossEntropyTerm, HiddenTerm, Term
from workflow_scripts.config.training import LoraSettings
from workflow_scripts.modeling.language_head import AfterHead, after_head
from workflow_scripts.prompts.rendering import Rendering
from workflow_scripts.runtime.cost import CostMeter
from workflow_scripts.training.adapters import student_of
from workflow_scripts.training.batches import Collator, RenderedExample, Sample
from workflow_scripts.training.forward import ForwardPlan, student_outputs
from workflow_scripts.training.objectives import OBJECTIVES
from workflow_scripts.training.terms import reads_of
from workflow_scripts.training.tiles import weighted_sum

# those of Qwen/Qwen3-1.7B
SIZE = Qwen3Config(
    vocab_size=151936,
    hidden_size=2048,
    intermediate_size=6144,
    num_hidden_layers=28,
    num_attention_heads=16,
    num_key_value_heads=8,
    head_dim=128,
    tie_word_embeddings=True,
)
CROSS_ENTROPY = CrossEntropyTerm(objective="cross_entropy")
HIDDEN = HiddenTerm(
    objective="hidden",
    weight=0.5,
    site="block",
    layers="all",
    position="query",
    normalize=True,
    reduction="sum",
)
CONDITIONS: dict[str, tuple[Term, ...]] = {
    "sft": (CROSS_ENTROPY,),
    "layerwise": (CROSS_ENTROPY, HIDDEN),
}
LORA = LoraSettings(
    target_modules=("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
)


def main() -> None:
    arguments = parse_arguments()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    rows = [measure(name, device, arguments) for name in CONDITIONS]
    where = torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} cores"
    print(f"batch {arguments.batch} × {arguments.length} tokens, bfloat16, LoRA r=16, on {where}\n")
    memory = "peak GPU memory (MiB)" if device == "cuda" else "peak memory (MiB)"
    headers = ["condition", "seconds per step", "tokens per second", memory]
    print(tabulate(rows, headers, tablefmt="github", floatfmt=("", ".2f", ".0f", ".0f")))


def measure(condition: str, device: str, arguments: argparse.Namespace) -> list[object]:
    """A row: the condition, seconds a step, tokens a second, peak memory."""
    torch.manual_seed(0)
    terms = CONDITIONS[condition]
    model = random_model().to(device)
    steps = after_head(model)
    student = student_of(LORA, model)
    optimizer = torch.optim.AdamW(w for w in student.parameters() if w.requires_grad)
    plan = ForwardPlan.of(terms)
    batch = random_batch(plan, arguments.batch, arguments.length, device)
    states = torch.randn(arguments.batch, SIZE.num_hidden_layers, SIZE.hidden_size, device=device)

    step = partial(take_step, student, optimizer, terms, batch, plan, steps, states)
    step()  # allocates, and chooses kernels
    with CostMeter("bfloat16") as meter:
        start = time.perf_counter()
        for _ in trange(arguments.steps, desc=condition):
            step()
        seconds = (time.perf_counter() - start) / arguments.steps
        cost = meter.cost()
    tokens = arguments.batch * arguments.length
    peak = cost.peak_gpu_mb if device == "cuda" else cost.peak_rss_mb
    return [condition, seconds, tokens / seconds, peak]


def take_step(
    student: Any,
    optimizer: torch.optim.Optimizer,
    terms: Sequence[Term],
    batch: dict[str, Any],
    plan: ForwardPlan,
    steps: AfterHead | None,
    states: Tensor,
) -> float:
    """The loss of one optimizer step; reading it waits for the device."""
    outputs = student_outputs(student, batch, plan, steps)
    losses = []
    for term in terms:
        teachers = () if reads_of(term).target is None else (states,)
        losses.append(OBJECTIVES[term.objective].loss(term, outputs, *teachers))
    loss, _ = weighted_sum(outputs, losses, [term.weight for term in terms])
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()


def random_model() -> PreTrainedModel:
    return AutoModelForCausalLM.from_config(SIZE, dtype=torch.bfloat16, attn_implementation="sdpa")


def random_batch(plan: ForwardPlan, examples: int, length: int, device: str) -> dict[str, Any]:
    """Conversations of random tokens, two thirds of each question."""
    prompt = 2 * length // 3
    conversations = [
        Rendering(
            ids=tuple(torch.randint(SIZE.vocab_size, (length,)).tolist()),
            question=0,
            query=prompt - 8,
            prompt=prompt,
        )
        for _ in range(examples)
    ]
    samples = [Sample(RenderedExample("", conversation), {}) for conversation in conversations]
    batch = Collator(plan.positions)(samples)
    return {name: on(device, value) for name, value in batch.items()}


def on(device: str, value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.to(device)
    if isinstance(value, dict):
        return {name: on(device, part) for name, part in value.items()}
    return value


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=4, help="sequences in a step")
    parser.add_argument("--length", type=int, default=512, help="tokens in a sequence")
    parser.add_argument("--steps", type=int, default=3, help="measured steps, after one unmeasured")
    return parser.parse_args()


if __name__ == "__main__":
    main()
