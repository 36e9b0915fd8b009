"""Processes that train one student together, one per device, started by `accelerate launch`.

All of them run the same program; the main process alone writes.
"""

from __future__ import annotations

import ctypes
import os
import signal
from typing import TypeVar

import torch
from accelerate import PartialState
from accelerate.utils import gather_object

T = TypeVar("T")

_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG in <sys/prctl.h>


def end_with_launcher() -> None:
    """Lets Linux kill this process when its launcher ends, however that ends.

    The launcher holds the lease of the devices. A process orphaned before this call finds no peers,
    because the launcher serves their rendezvous.
    """
    if "LOCAL_RANK" in os.environ:
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)


def all_processes() -> PartialState:
    """Accelerate's state: number of processes, this one's index, barriers.

    Without GPUs the processes share the CPU.
    """
    return PartialState(cpu=not torch.cuda.is_available())


def of_all(value: T) -> list[T]:
    """The value of each process, the same list in all; waits until all have called it."""
    all_processes()
    return list(gather_object([value]))
