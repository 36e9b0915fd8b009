"""Checks an installation on a GPU: speed, memory and numbers of every GPU path, without a network.

    python -m benchmarks.gpu_check

is made to take under 8 minutes on one H100. It builds Qwen3-1.7B and 8B with random weights (the
speed does not depend on their values) in a temporary folder of 25 GB, runs the workflow's own
trainer, teacher pass and engines, and prints a Markdown table line by line; what jobs log goes to
stderr. A part that fails is named, the others go on, and the exit status is 1. `--parts` chooses
some of them; `--quick` takes tiny models, which also run on a CPU.

The share of peak counts the operations that a step needs: forward and backward passes through
frozen weights, causal attention, and the output head where it is read. What gradient checkpointing
computes again is not counted. Peak is that of dense bfloat16 without sparsity, by NVIDIA's data
sheets.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils.rnn import pad_sequence
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    PreTrainedConfig,
    TrainerCallback,
)

from benchmarks import training_step
from benchmarks.scaling import BACKWARD, FORWARD, SIZES
from tests.tiny_models import save_model
from tests.tiny_tokenizers import QWEN3_TEMPLATE, build_tokenizer
from workflow_scripts.config.models import EngineKind
from workflow_scripts.config.slices import (
    ContextSettings,
    EngineSettings,
    PhaseSlice,
    RunSlice,
    TeacherTarget,
    TrainingSlice,
)
from workflow_scripts.config.tasks import GenerationSettings, PromptSettings
from workflow_scripts.config.teachers import TargetSettings
from workflow_scripts.config.terms import LogitKLTerm, Term
from workflow_scripts.config.training import LoraSettings
from workflow_scripts.engines.protocol import Engine, in_order
from workflow_scripts.engines.select import open_engine
from workflow_scripts.modeling.loading import (
    LocalModel,
    load_weights,
    open_model,
    quiet_transformers,
)
from workflow_scripts.prompts.rendering import Rendering
from workflow_scripts.runtime.cost import CostMeter, cpu_name
from workflow_scripts.runtime.files import read_json, write_json
from workflow_scripts.teachers.targets import teacher_target_name
from workflow_scripts.teachers.teacher_pass import run_teacher_pass
from workflow_scripts.training.batches import (
    DistillationDataset,
    RenderedExample,
    RenderedPhase,
)
from workflow_scripts.training.phases import Part
from workflow_scripts.training.run import trainer_of
from workflow_scripts.training.saved_states import ResumeState
from workflow_scripts.training.terms import targets_of

# 10¹² operations a second in dense bfloat16; the first name that the GPU's name holds
PEAKS = {
    "H100 PCIe": 756,
    "H100 NVL": 835,
    "H100": 989,
    "H200 NVL": 835,
    "H200": 989,
    "A100": 312,
    "L40S": 362,
    "4090": 165,
}
# as in config/experiments/qwen3-gsm8k.yaml
CONDITIONS: dict[str, tuple[Term, ...]] = {
    **training_step.CONDITIONS,
    "answer-kl": (
        training_step.CROSS_ENTROPY,
        LogitKLTerm(
            objective="logit_kl",
            weight=0.5,
            position="answer",
            temperature=2.0,
            top_k=256,
            reduction="mean",
        ),
    ),
}
TEACHER = "few-shot"
CONTEXT = ContextSettings(shots=8, answers="correct", seed=0)
PROMPT = PromptSettings()
BATCH, UNMEASURED, MEASURED = 4, 2, 4
# relative error of bfloat16 logits: it keeps 8 bits
TOLERANCE = 0.03
PARITY = {
    "qwen3": {"head_dim": 128},
    "llama": {"head_dim": 64},
    "gemma3_text": {"head_dim": 256, "layer_types": ["sliding_attention", "full_attention"] * 2},
}
_ANY = [SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION]
# kernels that attention may choose from, by device; the last one takes no mask
KERNELS = {
    "cpu": {"sdpa": [*_ANY, SDPBackend.MATH]},
    "cuda": {"sdpa": [*_ANY, SDPBackend.MATH], "flash alone": [SDPBackend.FLASH_ATTENTION]},
}
COLUMNS = ("part", "model", "what", "seconds", "tokens/s", "share of peak", "GiB", "note")


@dataclass(frozen=True)
class Scale:
    """Models and lengths. tokens: of a conversation. context: tokens before it."""

    models: dict[str, PreTrainedConfig]
    vocabulary: int
    tokens: int
    context: int
    questions: int
    parity: dict[str, int]

    @property
    def answer(self) -> int:
        """Tokens of an answer."""
        return self.tokens // 3


FULL = Scale(
    models={name: SIZES[name] for name in ("qwen3-1.7b", "qwen3-8b")},
    vocabulary=151_936,
    tokens=512,
    context=1024,
    questions=32,
    parity={
        "hidden_size": 1024,
        "intermediate_size": 3072,
        "num_hidden_layers": 4,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
    },
)
TINY = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
QUICK = Scale(
    models={"tiny": AutoConfig.for_model("qwen3", **TINY, head_dim=16)},
    vocabulary=1000,
    tokens=30,
    context=20,
    questions=4,
    parity=TINY,
)


@dataclass(frozen=True, eq=False)
class Check:
    """One run of the script: where models lie, and on what they run."""

    scale: Scale
    folder: Path

    @property
    def device(self) -> str:
        return "cuda" if torch.cuda.is_available() else "cpu"

    @property
    def dtype(self) -> str:
        return "bfloat16" if self.device == "cuda" else "float32"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--quick", action="store_true", help="tiny models, also on a CPU")
    parser.add_argument("--folder", type=Path, help="where the temporary folder is made")
    asked = parser.parse_args()
    if not (asked.quick or torch.cuda.is_available()):
        parser.error("no CUDA GPU is visible; --quick runs tiny models on the CPU")
    if torch.cuda.device_count() > 1:
        parser.error("several GPUs are visible; set CUDA_VISIBLE_DEVICES to one of them")
    with TemporaryDirectory(dir=asked.folder) as folder:
        sys.exit(run(asked.parts, QUICK if asked.quick else FULL, Path(folder)))


def run(parts: Sequence[str], scale: Scale, folder: Path) -> int:
    """Prints the table, a row for each case. Returns the exit status: 1 if one failed."""
    check = Check(scale, folder)
    begin, failed = time.perf_counter(), []
    print(f"{where()}, {check.dtype}, torch {torch.__version__}\n", flush=True)
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}", flush=True)
    for part in parts:
        for model, what, measure in PARTS[part](check):
            cells = {"part": part, "model": model, "what": what}
            try:
                cells |= measure()
            except Exception as error:
                failed.append(f"{part}: {model} {what}")
                reason = (str(error) or type(error).__name__).splitlines()[0]
                cells["note"] = f"FAILED: {reason}"
            print(f"| {' | '.join(cells.get(name, '') for name in COLUMNS)} |", flush=True)
            free()
    print(f"\n{time.perf_counter() - begin:.0f} seconds", flush=True)
    print("\n".join(["", "failed:", *failed]) if failed else "no part failed", flush=True)
    return 1 if failed else 0


def where() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{cpu_name()} (a CPU: speeds say nothing about a GPU)"


Case = tuple[str, str, Callable[[], dict[str, str]]]


# --- training steps -----------------------------------------------------------------------


def steps(check: Check) -> Iterator[Case]:
    for model in check.scale.models:
        for condition in CONDITIONS:
            for again in (False, True):
                what = f"{condition}{', gradient checkpointing' * again}"

                def measure(model=model, condition=condition, again=again) -> dict[str, str]:
                    return training(check, model, condition, again)

                yield model, what, measure


def training(check: Check, name: str, condition: str, checkpointing: bool) -> dict[str, str]:
    """Optimizer steps of the workflow's trainer, by their median."""
    model, terms = model_of(check, name), CONDITIONS[condition]
    settings = run_slice(terms, checkpointing)
    targets = {
        teacher_target_name(read): Kept(read_by(check, model, read.target))
        for read in settings.phases[0].reads
    }
    examples = [
        RenderedExample(str(index), conversation)
        for index, conversation in enumerate(conversations(check))
    ]
    dataset = DistillationDataset([RenderedPhase(examples, targets)])
    state = ResumeState.open(check.folder / "runs", f"{name}-{condition}-{checkpointing}")
    with CostMeter(check.dtype) as meter, silent():
        trainer = trainer_of(settings, model, dataset, state, Part.whole(settings))
        timer = Timer()
        trainer.add_callback(timer)
        trainer.train()
    seconds = statistics.median(timer.seconds[UNMEASURED:])
    tokens = BATCH * check.scale.tokens
    return {
        "seconds": f"{seconds:.3f}",
        "tokens/s": f"{tokens / seconds:,.0f}",
        "share of peak": share_of_peak(operations(check, name) / seconds),
        "GiB": memory(meter),
    }


class Timer(TrainerCallback):
    """Seconds of each optimizer step; reading the clock waits for the device."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_step_begin(self, *arguments: Any, **named: Any) -> None:
        self._start = clock()

    def on_step_end(self, *arguments: Any, **named: Any) -> None:
        self.seconds.append(clock() - self._start)


def run_slice(terms: tuple[Term, ...], checkpointing: bool) -> RunSlice:
    reads = reads_of_teacher(*terms)
    count = UNMEASURED + MEASURED
    phase = PhaseSlice(
        terms=terms,
        reads=reads,
        author="gold",
        demonstrations=None,
        train_items=BATCH,
        steps=count,
    )
    return RunSlice(
        prompt=PROMPT,
        labels=None,
        teacher=TEACHER if reads else None,
        phases=(phase,),
        head="language",
        adapter=LoraSettings(),
        training=TrainingSlice(
            steps=count,
            checkpoints=(1,),
            warmup_steps=0,
            batch_size=BATCH,
            gradient_checkpointing=checkpointing,
        ),
        seed=0,
    )


def reads_of_teacher(*terms: Term) -> tuple[TeacherTarget, ...]:
    return tuple(
        TeacherTarget(teacher=TEACHER, system=None, context=CONTEXT, target=target)
        for _, target in targets_of(terms, TEACHER)
    )


def operations(check: Check, name: str) -> float:
    """Of a step: through frozen weights twice, and through causal attention three times."""
    config, scale = check.scale.models[name], check.scale
    with torch.device("meta"):
        decoder = AutoModelForCausalLM.from_config(config).get_decoder()
    weights = sum(weight.numel() for weight in decoder.layers.parameters())
    head = config.vocab_size * config.hidden_size
    attention = FORWARD * scale.tokens**2 * config.num_attention_heads * config.head_dim
    per_example = (FORWARD + BACKWARD) * (weights * scale.tokens + head * scale.answer)
    return BATCH * (per_example + 3 * config.num_hidden_layers * attention)


def share_of_peak(rate: float) -> str:
    """Operations a second in percent of the GPU's peak; empty for a GPU that is not listed."""
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    peak = next((peak for known, peak in PEAKS.items() if known in name), None)
    return "" if peak is None else f"{rate / peak / 1e10:.0f} %"


# --- teacher pass -------------------------------------------------------------------------


def teachers(check: Check) -> Iterator[Case]:
    for model in check.scale.models:
        for read in reads_of_teacher(*CONDITIONS["layerwise"], *CONDITIONS["answer-kl"]):

            def measure(model=model, read=read) -> dict[str, str]:
                return teaching(check, model_of(check, model), read)

            yield model, teacher_target_name(read), measure


def teaching(check: Check, model: LocalModel, read: TeacherTarget) -> dict[str, str]:
    """A teacher pass over all questions; tokens are those after the shared context."""
    with CostMeter(check.dtype) as meter, silent():
        weights, shown = load_weights(model), in_context(check)
        run_teacher_pass(weights, shown[:BATCH], [read.target], BATCH)  # chooses kernels
        begin = clock()
        run_teacher_pass(weights, shown, [read.target], 2 * BATCH)
        seconds = clock() - begin
    tokens = check.scale.questions * check.scale.tokens
    return {
        "seconds": f"{seconds:.3f}",
        "tokens/s": f"{tokens / seconds:,.0f}",
        "GiB": memory(meter),
    }


def in_context(check: Check) -> list[Rendering]:
    """The conversations after one context."""
    context = random_tokens(check, check.scale.context)
    return [
        replace(
            conversation,
            ids=(*context, *conversation.ids),
            question=len(context),
            query=len(context) + conversation.query,
            prompt=len(context) + conversation.prompt,
        )
        for conversation in conversations(check)
    ]


def read_by(check: Check, model: LocalModel, target: TargetSettings) -> dict[str, torch.Tensor]:
    """The tensors of a target."""
    with silent():
        (tensors,) = run_teacher_pass(load_weights(model), in_context(check), [target], 2 * BATCH)
    return tensors


@dataclass(frozen=True)
class Kept:
    """A target in memory, read item by item as from a `TargetStore`."""

    tensors: dict[str, torch.Tensor]

    def read(self, item: str) -> dict[str, torch.Tensor]:
        start, stop = self.tensors["offsets"][int(item) : int(item) + 2].tolist()
        fields = {name for name in self.tensors if name != "offsets"}
        return {name: self.tensors[name][start:stop] for name in fields}


# --- engines ------------------------------------------------------------------------------


def engines(check: Check) -> Iterator[Case]:
    name = next(iter(check.scale.models))
    for kind in ("transformers", "vllm"):

        def measure(kind=kind) -> dict[str, str]:
            return answering(check, name, kind)

        yield name, f"{kind}, base and 2 adapters in one call", measure


def answering(check: Check, name: str, kind: EngineKind) -> dict[str, str]:
    """Greedy answers of the base model and two adapters, after those of the base model alone."""
    if kind == "vllm" and find_spec("vllm") is None:
        return left_out("vllm")
    checkpoints = {f"adapter-{number}": adapter(check, name) for number in (1, 2)}
    settings = EngineSettings(kind=kind, batch_size=4 * BATCH, server=None)
    free()
    with (
        CostMeter(check.dtype) as meter,
        silent(),
        open_engine(model_of(check, name), settings, checkpoints, check.folder / kind) as engine,
    ):
        # another length, so that no answer is taken from the engine's journal
        alone = written_per_second(check, engine, [None], check.scale.answer - 1)
        together = written_per_second(check, engine, [None, *checkpoints], check.scale.answer)
    return {
        "tokens/s": f"{together:,.0f}",
        "GiB": memory(meter) if kind == "transformers" else "",
        "note": f"tokens written, at most; {alone:,.0f} by the base model alone",
    }


def written_per_second(
    check: Check, engine: Engine, names: Sequence[str | None], length: int
) -> float:
    """Each question answered by each checkpoint; random weights hardly ever end an answer."""
    asked = [(one.prompt_ids, name) for name in names for one in conversations(check)]
    prompts, of = zip(*asked, strict=True)
    begin = clock()
    in_order(engine.generate(prompts, GenerationSettings(max_new_tokens=length), of))
    return len(asked) * length / (clock() - begin)


@cache
def adapter(check: Check, name: str) -> Path:
    """A checkpoint of a training step."""
    training(check, name, "sft", False)
    state = ResumeState.open(check.folder / "runs", f"{name}-sft-False")
    return state.checkpoints / "step-1"


# --- 4 bits -------------------------------------------------------------------------------


def nf4(check: Check) -> Iterator[Case]:
    (read,) = reads_of_teacher(*CONDITIONS["layerwise"])
    for name in check.scale.models:

        def measure(name=name) -> dict[str, str]:
            if find_spec("bitsandbytes") is None:
                return left_out("bitsandbytes")
            if check.device == "cpu":
                return {"note": "left out: needs a GPU"}
            return teaching(check, replace(model_of(check, name), quantization="nf4"), read)

        yield name, f"nf4, {teacher_target_name(read)}", measure


# --- parity -------------------------------------------------------------------------------


def parity(check: Check) -> Iterator[Case]:
    for family in PARITY:

        def measure(family=family) -> dict[str, str]:
            return compared(check, family)

        yield family, "bfloat16, fused attention", measure


def compared(check: Check, family: str) -> dict[str, str]:
    """A padded batch in bfloat16, beside its rows alone in float32 with eager attention.

    Raises ValueError when a kernel's logits differ by more than `TOLERANCE`.
    """
    config = AutoConfig.for_model(family, **check.scale.parity | PARITY[family])
    model = saved(check, family, config, "bfloat16")
    exact = AutoModelForCausalLM.from_pretrained(
        model.folder, dtype=torch.float32, attn_implementation="eager", local_files_only=True
    )
    exact, fused = exact.to(check.device).eval(), load_weights(model)
    asked = [
        replace(whole, ids=whole.ids[: len(whole.ids) - 2 * cut])
        for cut, whole in enumerate(conversations(check)[:BATCH])
    ]
    # as teacher pass and trainer pad: on the right, without a mask
    rows = [torch.tensor(one.ids, device=check.device) for one in asked]
    padded = pad_sequence(rows, batch_first=True)
    errors = {}
    with torch.inference_mode():
        expected = torch.cat([exact(row[None]).logits[0] for row in rows])
        for name, kernels in KERNELS[check.device].items():
            with sdpa_kernel(kernels):
                outputs = fused(padded, use_cache=False).logits.float()
            logits = torch.cat([own[: len(row)] for own, row in zip(outputs, rows, strict=True)])
            errors[name] = float((logits - expected).norm() / expected.norm())
    told = ", ".join(f"{error:.1e} ({name})" for name, error in errors.items())
    if not max(errors.values()) <= TOLERANCE:
        raise ValueError(f"relative error of the logits {told}, more than {TOLERANCE}")
    return {"note": f"relative error of the logits {told}"}


# --- shared -------------------------------------------------------------------------------


@cache
def model_of(check: Check, name: str) -> LocalModel:
    return saved(check, name, check.scale.models[name], check.dtype)


@cache
def conversations(check: Check) -> list[Rendering]:
    """Random tokens, a third of them the answer; GSM8K's answers are half of it."""
    prompt = check.scale.tokens - check.scale.answer - 1
    return [
        Rendering(random_tokens(check, check.scale.tokens), 0, query=prompt - 4, prompt=prompt)
        for _ in range(check.scale.questions)
    ]


def saved(check: Check, name: str, config: PreTrainedConfig, dtype: str) -> LocalModel:
    """Random weights in a folder, as the `models` stage leaves them."""
    tokenizer = build_tokenizer(QWEN3_TEMPLATE)
    # engines write any token of the model's vocabulary
    tokenizer.add_tokens([f"<{index}>" for index in range(len(tokenizer), check.scale.vocabulary)])
    config.vocab_size = check.scale.vocabulary
    config.bos_token_id = None
    config.eos_token_id, config.pad_token_id = tokenizer.eos_token_id, tokenizer.pad_token_id
    torch.manual_seed(0)
    with torch.device(check.device), silent():
        weights = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype))
        manifest = save_model(weights, tokenizer, check.folder / name)
    del weights
    free()
    own = {"dtype": dtype, "context_length": config.max_position_embeddings}
    write_json(manifest, read_json(manifest) | own)
    return open_model(manifest)


def random_tokens(check: Check, count: int) -> tuple[int, ...]:
    return tuple(torch.randint(3, check.scale.vocabulary, (count,)).tolist())


def left_out(package: str) -> dict[str, str]:
    return {"note": f"left out: {package} is not installed"}


def clock() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def memory(meter: CostMeter) -> str:
    cost = meter.cost()
    return f"{(cost.peak_gpu_mb or cost.peak_rss_mb) / 1024:.1f}"


def free() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@contextmanager
def silent() -> Iterator[None]:
    """Sends what jobs write to their logs to stderr, so that the table stays one."""
    with quiet_transformers(), redirect_stdout(sys.stderr):
        yield


PARTS: dict[str, Callable[[Check], Iterator[Case]]] = {
    "parity": parity,
    "steps": steps,
    "teachers": teachers,
    "nf4": nf4,
    "engines": engines,
}

if __name__ == "__main__":
    main()
