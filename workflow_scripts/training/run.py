"""One run: a student trained under one condition and seed."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch.distributed.fsdp import MixedPrecisionPolicy
from transformers import PrinterCallback, TrainerState, TrainingArguments, set_seed
from transformers.trainer import TRAINER_STATE_NAME

from workflow_scripts.config.slices import PhaseSlice, RunSlice, TrackingSlice
from workflow_scripts.config.training import Adapter, FullSettings
from workflow_scripts.modeling.loading import BIASES, LocalModel, load_tokenizer
from workflow_scripts.prompts.label_tokens import label_tokens
from workflow_scripts.prompts.rendering import Renderer, refuse_too_long
from workflow_scripts.runtime.checksums import checked, sha256_of
from workflow_scripts.runtime.cost import Cost, CostMeter, side_by_side
from workflow_scripts.runtime.errors import InputError, Stopped, writing
from workflow_scripts.runtime.files import (
    atomic_directory,
    atomic_file,
    remove_partials,
    write_json,
)
from workflow_scripts.runtime.progress import TellProgress
from workflow_scripts.tasks.examples import Example
from workflow_scripts.teachers.store import TargetStore
from workflow_scripts.training.adapters import student_of, trained_in_words
from workflow_scripts.training.batches import DistillationDataset, RenderedExample, RenderedPhase
from workflow_scripts.training.heads import load_headed
from workflow_scripts.training.interruption import SaveStates
from workflow_scripts.training.layers import resolve_layers
from workflow_scripts.training.micro_batches import share_of
from workflow_scripts.training.phases import Part, logged_terms
from workflow_scripts.training.processes import all_processes, of_all
from workflow_scripts.training.saved_states import ResumeState, step_of
from workflow_scripts.training.terms import reads_answers, reads_correct_label, reads_of
from workflow_scripts.training.tracking import Reported, reporting
from workflow_scripts.training.trainer import DistillationTrainer, KeepCheckpoints

# files of an adapter, of biases, or of a whole model
CHECKPOINT_FILES = (
    "adapter_config.json",
    "adapter_model.safetensors",
    BIASES,
    "config.json",
    "generation_config.json",
    "model*.safetensors",
    "model.safetensors.index.json",
)
# takes the place of an answer that no term reads: any text that is a turn
_UNREAD = "A"


def train_run(
    settings: RunSlice,
    model: LocalModel,
    examples: Sequence[Sequence[Example]],
    targets: Sequence[Mapping[str, TargetStore]],
    state: ResumeState,
    run: Path,
    part: Part | None = None,
    tracking: TrackingSlice | None = None,
) -> None:
    """Trains; writes `checkpoints/`, `training_log.csv` and `cost.json` to `run`.

    examples, targets: of each phase; empty for a phase that is not trained now.
    part: the phase to train and what came before; the whole run by default.
    tracking: where it reports to beside; `tensorboard/` in `run` by default.
    Resumes from the last saved state of the same steps.
    Raises InputError before training when the model only teaches, has no such layer or no bias,
    when a phase has no examples, or when an example does not fit the context, lacks an answer that
    is read, or its labels cannot be told apart; Diverged at the first step whose loss is not
    finite; Stopped on SIGTERM, after saving a state and nothing else.
    """
    part, tracking = part or Part.whole(settings), tracking or TrackingSlice()
    _refuse_teacher(model)
    _refuse_missing_layers(settings, model)
    _refuse_empty(settings, part, examples)
    dataset = _dataset(settings, model, examples, targets)
    processes = all_processes()
    with processes.main_process_first():
        remove_partials(run)
        state.keep_resumable(part.last, part.checkpoints)
        if part.earlier is not None and state.last_saved() is None:
            state.take_over(part.earlier, part.checkpoints, processes.num_processes)
    saved = state.last_saved()
    earlier = state.cost_so_far()

    def mark_saved(step: int) -> None:
        # each process writes a part of a state; all have done so when they meet here
        cost = earlier + side_by_side(of_all(meter.cost()))
        if processes.is_main_process:
            state.mark_whole(step, cost)

    with CostMeter(model.dtype) as meter, ExitStack() as opened:
        trainer = trainer_of(settings, model, dataset, state, part)
        every = settings.training.resume_every
        saving = SaveStates(every, part.last, processes.num_processes, mark_saved)
        if processes.is_main_process:
            step = None if saved is None else step_of(saved)
            reported = Reported(tracking, run, state.folder, step)
            for callback in opened.enter_context(reporting(reported)):
                trainer.add_callback(callback)
        _train(trainer, saved, saving, part.last)
        cost = earlier + side_by_side(of_all(meter.cost()))
    if processes.is_main_process:
        _write_outputs(trainer, settings, cost, state, run, part)
        state.finish(keep=settings.training.keep_state)


def _train(trainer: DistillationTrainer, saved: Path | None, saving: SaveStates, last: int) -> None:
    """Raises Stopped when SIGTERM came before the last step."""
    if saved is not None and step_of(saved) == last:
        # Trainer would take one more step
        trainer.state = TrainerState.load_from_json(str(saved / TRAINER_STATE_NAME))
        return
    trainer.add_callback(saving)
    with saving, writing(Path(str(trainer.args.output_dir))):
        trainer.train(resume_from_checkpoint=str(saved) if saved else None)
    step = trainer.state.global_step
    if step < last:
        raise Stopped(f"stopped by SIGTERM after step {step} of {last}; rerun to continue")


def _refuse_teacher(model: LocalModel) -> None:
    if model.architecture != "causal" or model.quantization is not None:
        kind = model.quantization or model.architecture
        raise InputError(f"{model.name}: is {kind}, and such a model only teaches; train another")


def _refuse_empty(settings: RunSlice, part: Part, examples: Sequence[Sequence[Example]]) -> None:
    for number in part.phases:
        if not examples[number]:
            of_phase = f" of phase {number}" if len(settings.phases) > 1 else ""
            raise InputError(f"the examples{of_phase} are empty, so nothing can be trained on")


def _refuse_missing_layers(settings: RunSlice, model: LocalModel) -> None:
    for term in (term for phase in settings.phases for term in phase.terms):
        states = reads_of(term).states
        if states is not None:
            resolve_layers(states.layers, model.layers)


def _dataset(
    settings: RunSlice,
    model: LocalModel,
    examples: Sequence[Sequence[Example]],
    targets: Sequence[Mapping[str, TargetStore]],
) -> DistillationDataset:
    """The first `train_items` examples of each phase as the student sees them."""
    renderer = Renderer(load_tokenizer(model), settings.prompt)
    phases = [
        RenderedPhase(_rendered(settings, phase, model, renderer, given), stores)
        for phase, given, stores in zip(settings.phases, examples, targets, strict=True)
    ]
    return DistillationDataset(phases)


def _rendered(
    settings: RunSlice,
    phase: PhaseSlice,
    model: LocalModel,
    renderer: Renderer,
    examples: Sequence[Example],
) -> list[RenderedExample]:
    """The first `train_items` examples; raises InputError as `train_run` does."""
    examples = examples[: phase.train_items]
    items = [example.item for example in examples]
    questions = [example.question for example in examples]
    answers = _answers(phase, examples)
    renderings = renderer.render(questions, answers)
    refuse_too_long(renderings, items, model.context_length)
    if settings.labels is None or not any(reads_of(term).labels for term in phase.terms):
        return list(map(RenderedExample, items, renderings))
    tokens = _label_tokens(settings, renderer, questions, items)
    gold = _correct_labels(settings.labels, phase, items, answers)
    return list(map(RenderedExample, items, renderings, tokens, gold))


def _answers(phase: PhaseSlice, examples: Sequence[Example]) -> list[str]:
    """The answers of the examples, or a text in place of those that no term reads."""
    answers: list[str | None] = [example.answer for example in examples]
    if None in answers and any(map(reads_answers, phase.terms)):
        item = examples[answers.index(None)].item
        reading = next(term.objective for term in phase.terms if reads_answers(term))
        raise InputError(
            f"item {item}: has no answer, but the term {reading} reads one; train on generated "
            "answers (`answers: teacher`), or with terms at the query or the prompt alone"
        )
    return [_UNREAD if answer is None else answer for answer in answers]


def _correct_labels(
    labels: Sequence[str], phase: PhaseSlice, items: Sequence[str], answers: Sequence[str]
) -> list[int | None]:
    """Index of the label that each answer is; None where no term reads it."""
    if not any(map(reads_correct_label, phase.terms)):
        return [None] * len(items)
    for item, answer in zip(items, answers, strict=True):
        if answer not in labels:
            raise InputError(
                f"item {item}: its answer '{answer}' is none of the labels {', '.join(labels)}"
            )
    return [labels.index(answer) for answer in answers]


def _label_tokens(
    settings: RunSlice, renderer: Renderer, questions: Sequence[str], items: Sequence[str]
) -> Sequence[tuple[int, ...]]:
    if settings.head == "classification":
        # its outputs are not tokens, so labels may share their first token
        return [()] * len(items)
    return label_tokens(renderer, questions, items, settings.labels or ())


def trainer_of(
    settings: RunSlice,
    model: LocalModel,
    dataset: DistillationDataset,
    state: ResumeState,
    part: Part,
) -> DistillationTrainer:
    """The trainer of one part of a run, with its untrained student, from the run's seed.

    state: where it saves, and what it resumes from.
    """
    set_seed(settings.seed)
    headed = load_headed(settings, model, dataset.examples)
    student = student_of(settings.adapter, headed.weights)
    if all_processes().is_main_process:
        print(f"{trained_in_words(settings.adapter, student)} of {model.parameters:,}", flush=True)
    dtype = getattr(torch, model.dtype)
    # full fine-tuning and BitFit train the whole model in float32; LoRA keeps the fetched dtype
    autocast = student.dtype != dtype == torch.bfloat16
    trainer = DistillationTrainer(
        model=student,
        args=_trainer_arguments(
            settings, state.trainer_folder, autocast, all_processes().num_processes
        ),
        train_dataset=dataset,
        data_collator=headed.collator,
        run=settings,
        last=part.last,
        forward=headed.forward,
        callbacks=[
            KeepCheckpoints(part.checkpoints, state.checkpoints, settings.adapter, dtype),
            TellProgress(logged_terms(settings)),
        ],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _trainer_arguments(
    settings: RunSlice, folder: Path, autocast: bool, processes: int
) -> TrainingArguments:
    training = settings.training
    micro, passes = share_of(training, processes)
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=training.steps,
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=passes,
        learning_rate=training.learning_rate,
        lr_scheduler_type=training.scheduler,
        warmup_steps=training.warmup_steps,
        weight_decay=training.weight_decay,
        max_grad_norm=training.max_grad_norm,
        gradient_checkpointing=training.gradient_checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False},
        save_strategy="no",
        logging_steps=1,
        logging_nan_inf_filter=False,
        include_num_input_tokens_seen="non_padding",
        report_to="none",
        remove_unused_columns=False,
        label_names=[],
        disable_tqdm=True,
        bf16=autocast,
        use_cpu=not torch.cuda.is_available(),
        dataloader_pin_memory=torch.cuda.is_available(),
        ddp_find_unused_parameters=False,
        fsdp=_is_sharded(settings.adapter, processes),
        seed=settings.seed,
    )
    if arguments.fsdp_plugin_args and autocast:
        # gradients are reduced in float32, as without sharding
        arguments.fsdp_plugin_args["mixed_precision_policy"] = MixedPrecisionPolicy(
            param_dtype=torch.bfloat16, reduce_dtype=torch.float32
        )
    return arguments


def _is_sharded(adapter: Adapter, processes: int) -> bool:
    return isinstance(adapter, FullSettings) and adapter.shard and processes > 1


def _write_outputs(
    trainer: DistillationTrainer,
    settings: RunSlice,
    cost: Cost,
    state: ResumeState,
    run: Path,
    part: Part,
) -> None:
    log = _training_log(trainer.state.log_history, logged_terms(settings))
    with atomic_file(run / "training_log.csv") as partial:
        log.to_csv(partial, index=False)
    write_json(run / "cost.json", asdict(cost) | {"tokens": trainer.state.num_input_tokens_seen})
    with atomic_directory(run / "checkpoints", checksum=False) as checkpoints:
        for step in part.checkpoints:
            kept = checked(state.checkpoints / f"step-{step}")
            shutil.copytree(kept, checkpoints / kept.name)
        manifest = _checkpoint_manifest(checkpoints)
        if part.last < settings.training.steps:
            processes = all_processes().num_processes
            manifest["state"] = state.hand_over(part.last, processes, checkpoints)
        write_json(checkpoints / "manifest.json", manifest)


def _training_log(history: Sequence[Mapping[str, Any]], terms: Sequence[str]) -> pd.DataFrame:
    """One row per optimizer step: loss, unweighted terms, gradient norm, learning rate.

    Terms of other phases are missing.
    """
    columns = ["step", "loss", *terms, "grad_norm", "learning_rate"]
    return pd.DataFrame([entry for entry in history if "loss" in entry], columns=columns)


def _checkpoint_manifest(checkpoints: Path) -> dict[str, Any]:
    files = sorted(path for name in CHECKPOINT_FILES for path in checkpoints.glob(f"step-*/{name}"))
    steps = sorted(int(path.name.split("-")[1]) for path in checkpoints.glob("step-*"))
    return {
        "steps": steps,
        "files": {str(path.relative_to(checkpoints)): sha256_of(path) for path in files},
    }
