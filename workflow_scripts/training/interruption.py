"""Periodic trainer states, and a graceful stop on SIGTERM."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

import torch
from accelerate.utils import reduce
from transformers import TrainerCallback, TrainingArguments
from transformers.trainer_callback import TrainerControl, TrainerState


# not Trainer's `enable_jit_checkpoint`, which may save in the middle of an accumulated step, after
# dropout has drawn random numbers that a resumed run would draw again
class SaveStates(TrainerCallback):
    """Saves a state every `every` steps, after step `last`, where it stops, and on SIGTERM.

    Inside its block, SIGTERM ends training after the current optimizer step, with a state saved; a
    second SIGTERM ends the process at once. All processes stop after the same step.

    on_saved: called with the step once its state is written.
    """

    def __init__(
        self, every: int, last: int, processes: int, on_saved: Callable[[int], None]
    ) -> None:
        self._every = every
        self._last = last
        # the launcher forwards the scheduler's signal to processes that got it already
        self._is_repeated = processes > 1
        self._on_saved = on_saved
        self._stopping = False

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGTERM, self._stop)
        return self

    def __exit__(self, *error: object) -> None:
        signal.signal(signal.SIGTERM, self._before)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        stopping = reduce(torch.tensor(float(self._stopping), device=args.device), "sum").item() > 0
        last = state.global_step == self._last
        control.should_save = stopping or last or state.global_step % self._every == 0
        control.should_training_stop = stopping or last

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._on_saved(state.global_step)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True
        if not self._is_repeated:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
