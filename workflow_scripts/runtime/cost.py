"""Time and memory of a run, and what it ran on."""

from __future__ import annotations

import platform
import resource
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil
import torch

MEGABYTE = 1024**2


@dataclass(frozen=True)
class Cost:
    """Wall and CPU seconds (user and system), resident and GPU memory in MiB, and what computed.

    Times compare only where the last four fields agree.

    processor: the GPU where there is one, else the CPU; several where sessions of a run differ.
    threads: of each process on a CPU; empty on a GPU.
    dtype: of the computation.
    """

    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_rss_mb: float = 0.0
    mean_rss_mb: float = 0.0
    peak_gpu_mb: float = 0.0
    processor: str = ""
    threads: str = ""
    processes: int = 0
    dtype: str = ""

    def __add__(self, later: Cost) -> Cost:
        """The cost of two sessions of one run: times add, peaks do not, the mean is over time."""
        wall = self.wall_seconds + later.wall_seconds
        return Cost(
            wall_seconds=wall,
            cpu_seconds=self.cpu_seconds + later.cpu_seconds,
            peak_rss_mb=max(self.peak_rss_mb, later.peak_rss_mb),
            mean_rss_mb=(
                self.mean_rss_mb * self.wall_seconds + later.mean_rss_mb * later.wall_seconds
            )
            / wall
            if wall
            else 0.0,
            peak_gpu_mb=max(self.peak_gpu_mb, later.peak_gpu_mb),
            processor=_each(self.processor, later.processor),
            threads=_each(self.threads, later.threads),
            processes=max(self.processes, later.processes),
            dtype=_each(self.dtype, later.dtype),
        )


def side_by_side(costs: Sequence[Cost]) -> Cost:
    """The cost of processes that run together, each on its own device.

    CPU times and resident memory add up, the longest wall counts, and the GPU memory of the device
    that needs most.
    """
    return Cost(
        wall_seconds=max(cost.wall_seconds for cost in costs),
        cpu_seconds=sum(cost.cpu_seconds for cost in costs),
        peak_rss_mb=sum(cost.peak_rss_mb for cost in costs),
        mean_rss_mb=sum(cost.mean_rss_mb for cost in costs),
        peak_gpu_mb=max(cost.peak_gpu_mb for cost in costs),
        processor=_each(*(cost.processor for cost in costs)),
        threads=_each(*(cost.threads for cost in costs)),
        processes=sum(cost.processes for cost in costs),
        dtype=_each(*(cost.dtype for cost in costs)),
    )


class CostMeter:
    """Measures this process from entering to `cost()`; memory is sampled in a thread.

    dtype: of the computation.
    """

    def __init__(self, dtype: str, interval: float = 0.2) -> None:
        self._dtype = dtype
        self._interval = interval
        self._process = psutil.Process()
        self._samples: list[float] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._start = time.perf_counter()
        self._usage = resource.getrusage(resource.RUSAGE_SELF)
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        self._samples.append(self._resident())
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def cost(self) -> Cost:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        on_gpu = torch.cuda.is_available()
        return Cost(
            wall_seconds=time.perf_counter() - self._start,
            cpu_seconds=sum(
                getattr(usage, name) - getattr(self._usage, name)
                for name in ("ru_utime", "ru_stime")
            ),
            peak_rss_mb=max(self._samples),
            mean_rss_mb=sum(self._samples) / len(self._samples),
            peak_gpu_mb=torch.cuda.max_memory_allocated() / MEGABYTE if on_gpu else 0.0,
            processor=torch.cuda.get_device_name() if on_gpu else cpu_name(),
            threads="" if on_gpu else str(torch.get_num_threads()),
            processes=1,
            dtype=self._dtype,
        )

    def _sample(self) -> None:
        while not self._stop.wait(self._interval):
            self._samples.append(self._resident())

    def _resident(self) -> float:
        return float(self._process.memory_info().rss) / MEGABYTE


def cpu_name() -> str:
    """The CPU as the kernel names it; its architecture where the kernel does not."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


def _each(*values: str) -> str:
    """Each value once: `float32`, or `1 and 2`."""
    parts = " and ".join(filter(None, values)).split(" and ")
    return " and ".join(dict.fromkeys(parts))
