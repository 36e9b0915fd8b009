"""How the processes that train together share the examples of a step."""

from __future__ import annotations

from workflow_scripts.config.training import Optimization


def share_of(training: Optimization, processes: int) -> tuple[int, int]:
    """What each process does in an optimizer step: examples in a forward pass, and passes.

    Raises ValueError when `batch_size` cannot be divided among them.
    """
    micro = training.micro_batch_size
    if training.batch_size % (processes * (micro or 1)):
        raise ValueError(
            f"the {training.batch_size} examples of a step are no multiple of {processes} GPUs"
            + (f" × {micro} in a forward pass" if micro else "")
        )
    micro = micro or training.batch_size // processes
    return micro, training.batch_size // (processes * micro)
