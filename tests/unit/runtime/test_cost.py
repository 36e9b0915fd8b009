"""What a run costs is measured, and adds up over the sessions of a resumed run."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from workflow_scripts.runtime.cost import Cost, CostMeter, cpu_name, side_by_side


def test_busy_time_is_cpu_time_and_sleeping_is_not():
    with CostMeter("float32") as meter:
        time.sleep(0.3)
        idle = meter.cost()
        end = time.process_time() + 0.3
        while time.process_time() < end:
            pass
        busy = meter.cost()
    assert idle.wall_seconds >= 0.3
    assert idle.cpu_seconds < 0.2
    assert busy.cpu_seconds >= 0.29


def test_peak_memory_sees_an_allocation_that_is_gone():
    with CostMeter("float32", interval=0.01) as meter:
        before = meter.cost().peak_rss_mb
        block = np.ones(100 * 2**20, dtype=np.uint8)
        time.sleep(0.1)
        del block
        time.sleep(0.05)
        cost = meter.cost()
    assert cost.peak_rss_mb > before + 90
    assert cost.mean_rss_mb < cost.peak_rss_mb


EPYC = {"processor": "EPYC", "threads": "2", "processes": 1, "dtype": "float32"}


def test_sessions_add_times_and_keep_the_highest_peak():
    total = Cost(10, 9, 500, 400, 0, **EPYC) + Cost(30, 22, 450, 440, 7, **EPYC)
    assert total == Cost(40, 31, 500, pytest.approx(430), 7, **EPYC)


def test_processes_side_by_side_add_up_and_the_longest_wall_counts():
    costs = [Cost(10, 9, 500, 400, 7, **EPYC), Cost(11, 22, 450, 440, 5, **EPYC)]
    assert side_by_side(costs) == Cost(11, 31, 950, 840, 7, **EPYC | {"processes": 2})


def test_no_cost_is_neutral():
    cost = Cost(10, 9, 500, 400, 0, **EPYC)
    assert Cost() + cost == cost


def test_a_run_that_was_resumed_on_another_processor_names_both_once():
    first, second = (Cost(1, **EPYC | {"processor": name}) for name in ("EPYC", "Xeon"))
    assert (first + second + second).processor == "EPYC and Xeon"


def test_a_cost_names_the_processor_its_threads_and_the_dtype():
    with CostMeter("bfloat16") as meter:
        cost = meter.cost()
    if not torch.cuda.is_available():
        assert cost.processor == cpu_name() != ""
        assert cost.threads == str(torch.get_num_threads())
    assert (cost.processes, cost.dtype) == (1, "bfloat16")
