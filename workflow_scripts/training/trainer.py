"""`transformers.Trainer` with a weighted sum of objectives as its loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
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
        # every term is a mean over examples, so micro-batches are averaged, not summed
        self.model_accepts_loss_kwargs = False
        self._terms = terms
        self._plan = ReadingPlan.of(terms)
        self._values: dict[str, list[Tensor]] = {term.name: [] for term in terms}

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Tensor:
        student = student_outputs(model, inputs, self._plan)
        loss = torch.zeros((), device=inputs["input_ids"].device)
        for term in self._terms:
            value = OBJECTIVES[term.objective](term, student, teacher_of(term, inputs["signals"]))
            self._values[term.name].append(value.detach())
            loss = loss + term.weight * value
        return loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "loss" in logs:
            for name, values in self._values.items():
                logs[name] = torch.stack(values).mean().item()
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


class OnSave(TrainerCallback):
    """Calls a function whenever Trainer has saved a state."""

    def __init__(self, action: Callable[[], None]) -> None:
        self._action = action

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._action()
