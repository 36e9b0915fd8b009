"""The share of a step's examples that each training process takes."""

from __future__ import annotations

from workflow_scripts.config.training import Optimization


def share_of(training: Optimization, processes: int) -> tuple[int, int]:
    """(examples per forward pass, forward passes) of each process in an optimizer step.

    Raises ValueError when `batch_size` cannot be divided among the processes.
    """
    micro = training.micro_batch_size
    if training.batch_size % (processes * (micro or 1)):
        raise ValueError(
            f"the {training.batch_size} examples of a step are no multiple of {processes} GPUs"
            + (f" × {micro} in a forward pass" if micro else "")
        )
    micro = micro or training.batch_size // processes
    return micro, training.batch_size // (processes * micro)
