"""What a study of some size needs: jobs, planning time, GPU-hours, disk. Writes docs/scaling.md.

    python -m benchmarks.scaling path/to/gsm8k/train.jsonl

Jobs and planning times are those of real dry runs. GPU work is counted in floating-point
operations; tokens per example are those of GSM8K's training items in the study's prompt, by the
tokenizer of the embedded model (fetched by `make demo`). Hours follow from an accelerator's peak
and the share of it that a stage reaches, which are assumptions to replace by what
`benchmarks.gpu_check` and your logs say.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
import yaml
from tabulate import tabulate
from transformers import AutoModelForCausalLM, Qwen3Config

from benchmarks.training_step import SIZE as QWEN3_1_7B
from workflow_scripts.config.data import ItemCounts
from workflow_scripts.config.tasks import PromptSettings
from workflow_scripts.config.teachers import TargetSettings
from workflow_scripts.config.training import Adapter, FullSettings
from workflow_scripts.modeling.loading import load_tokenizer, open_model
from workflow_scripts.prompts.rendering import Renderer
from workflow_scripts.study.load import load_study
from workflow_scripts.study.results import Run
from workflow_scripts.study.sizes import BYTES, bytes_at_most, target_bytes
from workflow_scripts.study.study import Study
from workflow_scripts.teachers.targets import TeacherSize
from workflow_scripts.training.adapters import student_of

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/scaling.md"
TOKENIZER = ROOT / "resources/models/smollm2-135m/manifest.json"
STUDY = ROOT / "config/experiments/qwen3-gsm8k.yaml"
CHOICES = ROOT / "config/experiments/qwen3-mmlu-bbh.yaml"
GIGA, HOUR = 10**9, 3600


def qwen3(width: int, feed_forward: int, heads: int, tied: bool) -> Qwen3Config:
    """A Qwen3 of 36 layers."""
    return Qwen3Config(
        hidden_size=width,
        intermediate_size=feed_forward,
        num_hidden_layers=36,
        num_attention_heads=heads,
        num_key_value_heads=8,
        head_dim=128,
        tie_word_embeddings=tied,
    )


# as published with the models
SIZES = {
    "qwen3-1.7b": QWEN3_1_7B,
    "qwen3-4b-instruct": qwen3(width=2560, feed_forward=9728, heads=32, tied=True),
    "qwen3-8b": qwen3(width=4096, feed_forward=12288, heads=32, tied=False),
}
# operations for each weight and token: a pass, gradients through frozen weights, of the weights too
FORWARD, BACKWARD, WEIGHT_GRADIENTS = 2, 2, 2


@dataclass(frozen=True)
class Lengths:
    """Mean tokens of an example, and of its answer alone."""

    example: float
    answer: float

    @classmethod
    def of(cls, items: Path, prompt: PromptSettings) -> Lengths:
        """items: JSON Lines with `question` and `answer`."""
        rows = [json.loads(line) for line in items.read_text().splitlines()]
        tokenizer = load_tokenizer(open_model(TOKENIZER))
        asked, answered = ([row[key] for row in rows] for key in ("question", "answer"))
        renderings = Renderer(tokenizer, prompt).render(asked, answered)
        return cls(
            fmean(len(rendering.ids) for rendering in renderings),
            fmean(len(rendering.positions("answer")) for rendering in renderings),
        )


@dataclass
class Needs:
    """Operations by stage, and bytes on disk by kind."""

    operations: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)


def main() -> None:
    arguments = parse_arguments()
    study, choices = (yaml.safe_load(path.read_text()) for path in (STUDY, CHOICES))
    large = matrix(study, models=10, tasks=20, conditions=30, seeds=5)
    planned_ones = [study, choices, matrix(study, models=3, tasks=7, conditions=20, seeds=8), large]
    columns = {"Qwen3, GSM8K": study, "Qwen3, MMLU and BBH": choices, "10 × 20 × 30 × 5": large}
    prompt = load_study(study).experiment.tasks["gsm8k"].prompt
    # after the plans: their memory is not measured below that of this process
    lengths = cache(partial(Lengths.of, arguments.items, prompt))
    blocks = {
        "plans": lambda: plans(planned_ones),
        "needs": lambda: needs_table(columns, lengths(), arguments),
        "sizes": lambda: sizes_table(study, lengths()),
    }
    text = PAGE.read_text()
    for name in arguments.tables or blocks:
        content = blocks[name]()
        start, end = f"<!-- scaling: {name} -->\n", "<!-- /scaling -->"
        before, rest = text.split(start)
        text = before + start + content + "\n" + end + rest.split(end, 1)[1]
    PAGE.write_text(text)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("items", type=Path, help="GSM8K's train.jsonl")
    parser.add_argument("tables", nargs="*", help="plans, needs, sizes; all when not given")
    parser.add_argument("--peak", type=float, default=312, help="TFLOP/s of one GPU (A100, bf16)")
    parser.add_argument("--passes", type=float, default=0.35, help="share reached by passes")
    parser.add_argument("--decoding", type=float, default=0.1, help="share reached by generation")
    parser.add_argument("--gpus", type=int, default=8, help="at work at a time")
    return parser.parse_args()


def matrix(
    study: dict[str, Any], models: int, tasks: int, conditions: int, seeds: int
) -> dict[str, Any]:
    """The study scaled up: models of 1.7B, tasks like GSM8K, one teacher target."""
    model, task = study["models"]["qwen3-1.7b"], study["tasks"]["gsm8k"]
    layerwise = study["conditions"]["layerwise"]
    plain, hidden = layerwise["terms"]
    weights = [{**hidden, "weight": 0.1 * (1 + number)} for number in range(conditions)]
    return {
        **{key: study[key] for key in ("shots", "training", "teacher_pass", "evaluation")},
        "teachers": {"few-shot": study["teachers"]["few-shot"]},
        "resources": study["resources"],
        "experiment": f"{models} × {tasks} × {conditions} × {seeds}".replace(" × ", "x"),
        "models": {f"model{number}": model for number in range(models)},
        "tasks": {f"task{number}": task for number in range(tasks)},
        "conditions": {
            f"condition{number}": {**layerwise, "label": None, "terms": [plain, weight]}
            for number, weight in enumerate(weights)
        },
        "seeds": list(range(seeds)),
        "analysis": {"bootstrap_samples": 30_000},
        "max_target_gb": 10_000,
    }


# --- planning ---------------------------------------------------------------------------------


def plans(configs: list[dict[str, Any]]) -> str:
    rows = [(config["experiment"], *planned(config)) for config in configs]
    headers = ["experiment", "jobs", "seconds to plan", "jobs per second", "peak memory (GB)"]
    formats = ("", "", ".1f", ".0f", ".1f")
    return tabulate(rows, headers, tablefmt="github", intfmt=",", floatfmt=formats)


def planned(config: dict[str, Any]) -> tuple[int, float, float, float]:
    """Jobs of a dry run of an experiment of which nothing is made, its seconds, and its memory.

    Memory is the largest of all plans so far: plan smaller ones first.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "experiment.yaml")
        file.write_text(yaml.safe_dump({**config, "results": f"{folder}/results"}))
        command = ["snakemake", "--dry-run", "--cores", "64", "--quiet", "rules"]
        start = time.monotonic()
        outcome = subprocess.run(
            [sys.executable, "-m", *command, "--configfile", str(file)],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        seconds = time.monotonic() - start
    total = re.search(r"^total +(\d+)$", outcome.stdout, re.M)
    if outcome.returncode or total is None:
        raise SystemExit(outcome.stdout[-2000:] + outcome.stderr[-2000:])
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / GIGA
    return int(total[1]), seconds, int(total[1]) / seconds, memory


# --- work and disk ----------------------------------------------------------------------------


def needs_table(
    configs: dict[str, dict[str, Any]], lengths: Lengths, arguments: argparse.Namespace
) -> str:
    studies = [load_study(config) for config in configs.values()]
    needs = [needs_of(study, lengths) for study in studies]
    stages = ("icl_gap", "teachers", "training", "evaluation")
    generates = {"icl_gap", "evaluation"}
    hours = {
        stage: [
            need.operations[stage]
            / (arguments.peak * 1e12 * HOUR)
            / (arguments.decoding if stage in generates else arguments.passes)
            for need in needs
        ]
        for stage in stages
    }
    days = [sum(column) / arguments.gpus / 24 for column in zip(*hours.values(), strict=True)]
    rows: list[list[Any]] = [["trained runs", *(f"{len(runs_of(one)):,}" for one in studies)]]
    rows += [[f"{stage}, GPU-hours", *map("{:,.0f}".format, hours[stage])] for stage in stages]
    rows.append([f"days on {arguments.gpus} GPUs", *map("{:,.1f}".format, days)])
    for kind in ("targets", "targets, at most", "checkpoints"):
        rows.append([f"{kind}, GB", *(f"{need.bytes[kind] / GIGA:,.0f}" for need in needs)])
    table = tabulate(
        rows,
        ["", *configs],
        tablefmt="github",
        colalign=["left", *("right" for _ in configs)],
        disable_numparse=True,
    )
    return (
        f"{table}\n\nOne GPU of {arguments.peak:g} TFLOP/s (an A100 in bfloat16), of which passes "
        f"reach {arguments.passes:.0%} and\ngeneration {arguments.decoding:.0%}: assumed, not "
        "measured."
    )


def sizes_table(config: dict[str, Any], lengths: Lengths) -> str:
    """Sizes of each model: weights, checkpoints, and the states of the study's answer tokens."""
    study = load_study(config)
    experiment = study.experiment
    assert experiment.training is not None
    items = experiment.tasks["gsm8k"].data.items.train
    states = TargetSettings(kind="hidden", site="block", position="answer")
    rows = []
    for name, size in SIZES.items():
        dtype = BYTES[study.resources.dtype_of(name)]
        shape = TeacherSize(0, size.num_hidden_layers, size.hidden_size, dtype)
        rows.append(
            [
                name,
                f"{parameters(name) / GIGA:.1f}",
                f"{checkpoint_bytes(name, experiment.training.adapter) / 10**6:.0f}",
                f"{checkpoint_bytes(name, FullSettings(kind='full')) / GIGA:.1f}",
                f"{target_bytes(states, items, math.ceil(lengths.answer), shape) / GIGA:,.0f}",
            ]
        )
    headers = ["", "weights (10⁹)", "adapter (MB)", "whole model (GB)", "states at `answer` (GB)"]
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def runs_of(study: Study) -> list[Run]:
    pairs = product(study.experiment.models, study.experiment.tasks)
    return [run for pair in pairs for run in study.matrix.runs_of(*pair)]


def needs_of(study: Study, lengths: Lengths) -> Needs:
    experiment, matrix, needs = study.experiment, study.matrix, Needs()
    for model in experiment.models:
        weights = parameters(size_name(model))
        for task, settings in experiment.tasks.items():
            items = settings.data.items
            for _ in matrix.base_results_of(model, task):
                needs.operations["icl_gap"] += answering(items, weights, lengths)
            targets = study.supervision.targets_of(model, task)
            # one pass reads all targets of a teacher
            for _ in {target.folder for target in targets}:
                needs.operations["teachers"] += items.train * lengths.example * FORWARD * weights
            for target in targets:
                most = bytes_at_most(study.resources, target) or 0
                of_answer = lengths.answer / settings.generation.max_new_tokens
                expected = most * (of_answer if target.target.position == "answer" else 1)
                needs.bytes["targets, at most"] += most
                needs.bytes["targets"] += expected
            for _ in matrix.transfers_of(model, task):
                needs.operations["evaluation"] += answering(items, weights, lengths)
    for trained in runs_of(study):
        run = study.slices.run(trained.model, trained.task, trained.condition, trained.seed)
        recipe, items = run.training, experiment.tasks[trained.task].data.items
        weights = parameters(size_name(trained.model))
        gradients = WEIGHT_GRADIENTS if isinstance(run.adapter, FullSettings) else 0
        again = FORWARD if recipe.gradient_checkpointing else 0
        tokens = recipe.steps * recipe.batch_size * lengths.example
        needs.operations["training"] += tokens * weights * (FORWARD + BACKWARD + gradients + again)
        kept = len(recipe.checkpoints)
        needs.operations["evaluation"] += kept * answering(items, weights, lengths)
        needs.bytes["checkpoints"] += kept * checkpoint_bytes(size_name(trained.model), run.adapter)
    return needs


def answering(items: ItemCounts, weights: int, lengths: Lengths) -> float:
    """Operations: a prompt with what is generated after it, and a pass over the correct answer.

    The demonstrations before them are computed once and count for nothing.
    """
    return (items.validation + items.test) * 2 * lengths.example * FORWARD * weights


def size_name(model: str) -> str:
    return model if model in SIZES else "qwen3-1.7b"


@cache
def parameters(name: str) -> int:
    return sum(weight.numel() for weight in on_meta(name).parameters())


@cache
def checkpoint_bytes(name: str, adapter: Adapter) -> int:
    """Bytes of the trained weights: an adapter in float32, a whole model in bfloat16."""
    student = student_of(adapter, on_meta(name))
    width = 2 if isinstance(adapter, FullSettings) else 4
    return width * sum(w.numel() for w in student.parameters() if w.requires_grad)


def on_meta(name: str) -> Any:
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(SIZES[name])


if __name__ == "__main__":
    main()
