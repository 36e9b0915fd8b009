"""Progress of a training."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from transformers import TrainerCallback, TrainingArguments
from transformers.trainer_callback import TrainerControl, TrainerState


class TellProgress(TrainerCallback):
    """Prints a line whenever Trainer logs: how far, the loss, its terms, the time left.

    terms: names of other numbers that Trainer may log with the loss.
    """

    def __init__(self, terms: Sequence[str] = ()) -> None:
        self._names = ["loss", *terms]

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._first_step, self._start = state.global_step, time.monotonic()

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        logs = kwargs["logs"]
        if "loss" not in logs or not state.is_world_process_zero:
            return
        done = state.global_step - self._first_step
        left = (time.monotonic() - self._start) / done * (state.max_steps - state.global_step)
        values = "  ".join(f"{name} {logs[name]:.4g}" for name in self._names if name in logs)
        print(
            f"step {state.global_step}/{state.max_steps}  {values}  {left:.0f} s left", flush=True
        )
