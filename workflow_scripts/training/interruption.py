"""When states are saved, and how a run stops that is told to end."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

import torch
from accelerate.utils import reduce
from transformers import TrainerCallback, TrainingArguments
from transformers.trainer_callback import TrainerControl, TrainerState


# not Trainer's `enable_jit_checkpoint`, which may save in the middle of an accumulated step, after
# dropout has used random numbers that a continued run would use again
class SaveStates(TrainerCallback):
    """Has states saved every so many steps, after the last, and when SIGTERM tells the run to end.

    Within its block SIGTERM lets the optimizer step end, then a state is saved and training ends;
    a second SIGTERM ends the process at once. Of several processes all stop after the same step.

    on_saved: called with the step when its state is written.
    """

    def __init__(self, every: int, processes: int, on_saved: Callable[[int], None]) -> None:
        self._every = every
        # their launcher passes on to each what the scheduler has told it too, and kills them later
        self._is_repeated = processes > 1
        self._on_saved = on_saved
        self._told = False

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGTERM, self._be_told)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        signal.signal(signal.SIGTERM, self._before)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        told = reduce(torch.tensor(float(self._told), device=args.device), "sum").item() > 0
        last = state.global_step == state.max_steps
        control.should_save = told or last or state.global_step % self._every == 0
        control.should_training_stop = told or last

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._on_saved(state.global_step)

    def _be_told(self, number: int, frame: FrameType | None) -> None:
        self._told = True
        if not self._is_repeated:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
