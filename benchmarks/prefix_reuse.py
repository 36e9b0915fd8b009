"""How much faster the teacher pass is than a plain forward pass, and how equal.

Two baselines run over the same whole prompts, sorted by length:
- plain: `model(ids)` as transformers has it, with the logits of every position;
- kept: states and logits kept only where they are read, as the teacher pass does. What is left is
  what computing the demonstrations once saves.

Run from the project's root, on GSM8K's train.jsonl:

    python -m benchmarks.prefix_reuse path/to/train.jsonl

The first lines of the file are the demonstrations, the next ones the items. With `--documents n`
these lines make n documents instead, and the items are asked in turn about one of them. Exits with
status 1 when a state or a row of logits differs by more than 1e-3 of its length.

OMP_NUM_THREADS sets the threads; where other processes use the cores, measure with one, because
threads that wait for each other cost the many small steps of the shared pass most.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from tabulate import tabulate
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from workflow_scripts.config.tasks import PromptSettings
from workflow_scripts.config.teachers import TargetSettings
from workflow_scripts.modeling.hidden_states import Capture
from workflow_scripts.modeling.loading import load_tokenizer, load_weights, open_model
from workflow_scripts.modeling.teacher_forcing import head_positions
from workflow_scripts.prompts.formats import Demonstration
from workflow_scripts.prompts.rendering import (
    Renderer,
    Rendering,
    refuse_too_long,
)
from workflow_scripts.runtime.errors import run_entry_point
from workflow_scripts.teachers.targets import target_name
from workflow_scripts.teachers.teacher_pass import run_teacher_pass

TOLERANCE = 1e-3
HEADERS = [
    "target",
    "plain (s)",
    "kept (s)",
    "shared prefix (s)",
    "plain / shared",
    "kept / shared",
    "largest relative difference",
]
HIDDEN = TargetSettings(kind="hidden", site="block", position="query")
LOGITS = TargetSettings(kind="logits", position="answer", top_k=256, temperature=2.0)


def main() -> None:
    arguments = parse_arguments()
    model = open_model(arguments.model)
    weights = load_weights(model).float()
    renderings = render(load_tokenizer(model), arguments)
    items = list(map(str, range(len(renderings))))
    refuse_too_long(renderings, items, model.context_length)
    table = [compare(weights, renderings, target, arguments) for target in (HIDDEN, LOGITS)]
    print(describe(renderings))
    print(tabulate(table, HEADERS, tablefmt="github", floatfmt=("", *[".1f"] * 5, ".1e")))
    sys.exit(any(row[-1] > TOLERANCE for row in table))


def render(tokenizer: PreTrainedTokenizerBase, arguments: argparse.Namespace) -> list[Rendering]:
    """The items after the demonstrations, or each after one of the documents."""
    shown = arguments.shots * max(arguments.documents, 1)
    with arguments.examples.open() as lines:
        rows = [json.loads(line) for line in islice(lines, shown + arguments.items)]
    pairs = [(row["question"], row["answer"]) for row in rows]
    questions, answers = zip(*pairs[shown:], strict=True)
    if not arguments.documents:
        demonstrations = [Demonstration(*pair) for pair in pairs[:shown]]
        return Renderer(tokenizer, PromptSettings(), demonstrations).render(questions, answers)
    texts = ["\n".join(map(" ".join, pairs[n : n + arguments.shots])) for n in range(shown)]
    documents = texts[:: arguments.shots]
    before = [documents[index % len(documents)] for index in range(len(questions))]
    return Renderer(tokenizer, PromptSettings()).render(questions, answers, before)


def compare(
    model: PreTrainedModel,
    renderings: Sequence[Rendering],
    target: TargetSettings,
    arguments: argparse.Namespace,
) -> list[Any]:
    """One row of the table."""
    # once before the clock starts: the first pass fetches memory and loads kernels
    run_shared_pass(model, renderings[:2], target, 2)
    passes = [
        (partial(run_plain_pass, read=read_of_everything), arguments.plain_batch_size),
        (partial(run_plain_pass, read=read_where_kept), arguments.plain_batch_size),
        (run_shared_pass, arguments.batch_size),
    ]
    (_, plain), (expected, kept), (found, shared) = (
        fastest(arguments.repeats, run_pass, model, renderings, target, batch_size)
        for run_pass, batch_size in passes
    )
    fields = ["states"] if target.kind == "hidden" else ["values", "logsumexp"]
    difference = max(largest_relative_difference(found[f], expected[f]) for f in fields)
    return [target_name(target), plain, kept, shared, plain / shared, kept / shared, difference]


def run_shared_pass(
    model: PreTrainedModel, renderings: Sequence[Rendering], target: TargetSettings, batch_size: int
) -> dict[str, Tensor]:
    (found,) = run_teacher_pass(model, renderings, [target], batch_size)
    return found


def run_plain_pass(
    model: PreTrainedModel,
    renderings: Sequence[Rendering],
    target: TargetSettings,
    batch_size: int,
    read: Callable[..., dict[str, Tensor]],
) -> dict[str, Tensor]:
    """What `run_teacher_pass` returns, computed from every prompt's first token on."""
    kept: dict[int, dict[str, Tensor]] = {}
    order = sorted(range(len(renderings)), key=lambda i: -len(cut(renderings[i], target)))
    for start in range(0, len(order), batch_size):
        members = order[start : start + batch_size]
        positions = [renderings[i].positions(target.position) for i in members]
        ids = [torch.tensor(cut(renderings[i], target)) for i in members]
        input_ids = pad_sequence(ids, batch_first=True).to(model.device)
        counts = [len(p) for p in positions]
        rows = torch.arange(len(members)).repeat_interleave(torch.tensor(counts))
        columns = torch.tensor([column for p in positions for column in p])
        for name, values in read(model, input_ids, rows, columns, target).items():
            for index, part in zip(members, values.split(counts), strict=True):
                kept.setdefault(index, {})[name] = part.cpu()
    return {name: torch.cat([kept[i][name] for i in range(len(renderings))]) for name in kept[0]}


def cut(rendering: Rendering, target: TargetSettings) -> tuple[int, ...]:
    return rendering.ids[: rendering.positions(target.position)[-1] + 1]


@torch.inference_mode()
def read_of_everything(
    model: PreTrainedModel, input_ids: Tensor, rows: Tensor, columns: Tensor, target: TargetSettings
) -> dict[str, Tensor]:
    if target.kind == "hidden":
        with Capture(model, [target.site], rows, columns) as capture:
            model(input_ids=input_ids, use_cache=False)
        return {"states": capture.states(target.site).transpose(0, 1)}
    logits = model(input_ids=input_ids, use_cache=False).logits
    return largest(logits[rows, columns], target)


@torch.inference_mode()
def read_where_kept(
    model: PreTrainedModel, input_ids: Tensor, rows: Tensor, columns: Tensor, target: TargetSettings
) -> dict[str, Tensor]:
    if target.kind == "hidden":
        with Capture(model, [target.site], rows, columns) as capture:
            model.get_decoder()(input_ids=input_ids, use_cache=False)
        return {"states": capture.states(target.site).transpose(0, 1)}
    with head_positions(model, rows, columns):
        logits = model(input_ids=input_ids, use_cache=False).logits
    return largest(logits, target)


def largest(logits: Tensor, target: TargetSettings) -> dict[str, Tensor]:
    normalisers = [logits.logsumexp(-1), (logits / target.temperature).logsumexp(-1)]
    values = logits.topk(target.top_k).values
    return {"values": values, "logsumexp": torch.stack(normalisers, -1)}


def fastest(
    repeats: int, run_pass: Callable[..., dict[str, Tensor]], *arguments: object
) -> tuple[dict[str, Tensor], float]:
    """What the pass returns, and the wall seconds of its fastest repeat."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = run_pass(*arguments)
        seconds.append(time.perf_counter() - start)
    return result, min(seconds)


def largest_relative_difference(found: Tensor, expected: Tensor) -> float:
    """The largest ‖found − expected‖ / ‖expected‖ of all rows, such as one layer's state."""
    return ((found - expected).norm(dim=-1) / expected.norm(dim=-1)).max().item()


def describe(renderings: Sequence[Rendering]) -> str:
    tokens = sum(len(rendering.ids) for rendering in renderings) / len(renderings)
    return (
        f"{len(renderings)} items, {renderings[0].question} tokens of context, "
        f"{tokens:.0f} tokens in all on average, {torch.get_num_threads()} threads\n"
    )


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("examples", type=Path, help="JSON lines with question and answer")
    parser.add_argument(
        "--model", type=Path, default=Path("resources/models/smollm2-135m/manifest.json")
    )
    parser.add_argument("--shots", type=int, default=8, help="or lines in a document")
    parser.add_argument(
        "--documents", type=int, default=0, help="shown before the items instead of demonstrations"
    )
    parser.add_argument("--items", type=int, default=48)
    parser.add_argument(
        "--repeats", type=int, default=1, help="the fastest counts: for machines that others use"
    )
    parser.add_argument(
        "--batch-size",
        type=int,
        default=4,
        help="of the teacher pass; few items differ much in length, and small batches pad less",
    )
    parser.add_argument(
        "--plain-batch-size",
        type=int,
        default=1,
        help="of the two baselines; on a CPU one long prompt fills the cores, and 1 is its best",
    )
    return parser.parse_args()


if __name__ == "__main__":
    run_entry_point(main)
