"""Processes that train one student together, one for each device, started by `accelerate launch`.

All of them run the same program; what only one may do is the main process's.
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
    """Has Linux kill this process when the one that started it ends, however that ends.

    The launcher holds the lease of the devices. A process that it leaves before this call finds no
    other one, because the launcher serves their rendezvous.
    """
    if "LOCAL_RANK" in os.environ:
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)


def all_processes() -> PartialState:
    """How many there are, which one this is, and ways to wait for each other.

    On a machine without GPUs they share its CPU.
    """
    return PartialState(cpu=not torch.cuda.is_available())


def of_all(value: T) -> list[T]:
    """The value of each process, once all have come here; the same list in all of them."""
    all_processes()
    return list(gather_object([value]))
