"""`transformers.Trainer` with a weighted sum of objectives as its loss."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import TrainerControl, TrainerState

from workflow_scripts.errors import InputError
from workflow_scripts.files import atomic_directory
from workflow_scripts.settings import LogitKLTerm, LogitMSETerm, Term
from workflow_scripts.training.forward import ReadingPlan, student_outputs
from workflow_scripts.training.objectives import OBJECTIVES
from workflow_scripts.training.objectives.outputs import TopK


class DistillationTrainer(Trainer):
    """Minimises Σ weight · term over the terms of a condition, and logs every term."""

    def __init__(self, *args: Any, terms: Sequence[Term], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.loss_is_scaled_for_ga = True
        self._terms = terms
        self._plan = ReadingPlan.of(terms)
        self._values: dict[str, list[Tensor]] = {term.name: [] for term in terms}

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[Any], int]:
        """The micro-batches of one optimizer step, and how many examples they hold together."""
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        return batches, sum(len(batch["input_ids"]) for batch in batches)

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: int | None = None,
    ) -> Tensor:
        """A micro-batch's share of the loss: the shares of one optimizer step add up to it.

        Every term is a mean over examples, so a share is the micro-batch's share of examples;
        the last step of an epoch may hold fewer of them.
        """
        student = student_outputs(model, inputs, self._plan)
        share = student.batch_size / (num_items_in_batch or student.batch_size)
        loss = torch.zeros((), device=inputs["input_ids"].device)
        for term in self._terms:
            teacher = teacher_of(term, inputs["signals"])
            value = share * OBJECTIVES[term.objective](term, student, teacher)
            self._values[term.name].append(value.detach())
            loss = loss + term.weight * value
        return loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "loss" in logs:
            for name, values in self._values.items():
                logs[name] = torch.stack(values).sum().item()
                values.clear()
            self._refuse_broken_losses(logs)
        super().log(logs, start_time)

    def _refuse_broken_losses(self, logs: Mapping[str, float]) -> None:
        for name in ("loss", *self._values):
            if not math.isfinite(logs[name]):
                raise InputError(
                    f"step {self.state.global_step}: {name} is {logs[name]}; lower "
                    "training.learning_rate or the term's weight"
                )


def teacher_of(term: Term, signals: Mapping[str, Mapping[str, Tensor]]) -> Any:
    """What a term reads of the batch's signals: states, a TopK, or None."""
    if term.signal is None:
        return None
    fields = signals[term.signal.name]
    if isinstance(term, LogitKLTerm | LogitMSETerm):
        # the last column is at the signal's own temperature, the first at 1
        return TopK(
            values=fields["values"],
            indices=fields["indices"].long(),
            logsumexp=fields["logsumexp"][:, -1],
            temperature=term.signal.temperature or 1.0,
        )
    return fields["states"]


class KeepAdapters(TrainerCallback):
    """Saves the adapter after each listed step, whole or not at all."""

    def __init__(self, steps: Sequence[int], folder: Path) -> None:
        self._steps = steps
        self._folder = folder

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if state.global_step in self._steps:
            with atomic_directory(self._folder / f"step-{state.global_step}") as partial:
                kwargs["model"].save_pretrained(partial)


class TellProgress(TrainerCallback):
    """Prints a line for each step: how far, the loss, its terms, the time left at this pace."""

    def __init__(self, terms: Sequence[Term]) -> None:
        self._names = ["loss", *(term.name for term in terms)]

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._first_step, self._start = state.global_step, time.monotonic()

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        logs = kwargs["logs"]
        if "loss" not in logs:
            return
        done = state.global_step - self._first_step
        left = (time.monotonic() - self._start) / done * (state.max_steps - state.global_step)
        values = "  ".join(f"{name} {logs[name]:.4g}" for name in self._names)
        print(
            f"step {state.global_step}/{state.max_steps}  {values}  {left:.0f} s left", flush=True
        )


class OnSave(TrainerCallback):
    """Calls a function whenever Trainer has saved a state."""

    def __init__(self, action: Callable[[], None]) -> None:
        self._action = action

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._action()
