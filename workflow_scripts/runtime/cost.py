"""Time and memory of a run."""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import psutil
import torch

MEGABYTE = 1024**2


@dataclass(frozen=True)
class Cost:
    """Wall, user and system CPU seconds; resident and GPU memory in MiB."""

    wall_seconds: float = 0.0
    user_seconds: float = 0.0
    system_seconds: float = 0.0
    peak_rss_mb: float = 0.0
    mean_rss_mb: float = 0.0
    peak_gpu_mb: float = 0.0

    def __add__(self, later: Cost) -> Cost:
        """The cost of two sessions of one run: times add, peaks do not, the mean is over time."""
        wall = self.wall_seconds + later.wall_seconds
        return Cost(
            wall_seconds=wall,
            user_seconds=self.user_seconds + later.user_seconds,
            system_seconds=self.system_seconds + later.system_seconds,
            peak_rss_mb=max(self.peak_rss_mb, later.peak_rss_mb),
            mean_rss_mb=(
                self.mean_rss_mb * self.wall_seconds + later.mean_rss_mb * later.wall_seconds
            )
            / wall
            if wall
            else 0.0,
            peak_gpu_mb=max(self.peak_gpu_mb, later.peak_gpu_mb),
        )


def side_by_side(costs: Sequence[Cost]) -> Cost:
    """The cost of processes that run together, each on its own device.

    CPU times and resident memory add up, the longest wall counts, and the GPU memory of the device
    that needs most.
    """
    return Cost(
        wall_seconds=max(cost.wall_seconds for cost in costs),
        user_seconds=sum(cost.user_seconds for cost in costs),
        system_seconds=sum(cost.system_seconds for cost in costs),
        peak_rss_mb=sum(cost.peak_rss_mb for cost in costs),
        mean_rss_mb=sum(cost.mean_rss_mb for cost in costs),
        peak_gpu_mb=max(cost.peak_gpu_mb for cost in costs),
    )


class CostMeter:
    """Measures this process from entering to `cost()`; memory is sampled in a thread."""

    def __init__(self, interval: float = 0.2) -> None:
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
        gpu = torch.cuda.max_memory_allocated() / MEGABYTE if torch.cuda.is_available() else 0.0
        return Cost(
            wall_seconds=time.perf_counter() - self._start,
            user_seconds=usage.ru_utime - self._usage.ru_utime,
            system_seconds=usage.ru_stime - self._usage.ru_stime,
            peak_rss_mb=max(self._samples),
            mean_rss_mb=sum(self._samples) / len(self._samples),
            peak_gpu_mb=gpu,
        )

    def _sample(self) -> None:
        while not self._stop.wait(self._interval):
            self._samples.append(self._resident())

    def _resident(self) -> float:
        return float(self._process.memory_info().rss) / MEGABYTE
