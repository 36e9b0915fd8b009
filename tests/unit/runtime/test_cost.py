"""What a run costs is measured, and adds up over the sessions of a resumed run."""

from __future__ import annotations

import time

import numpy as np
import pytest

from workflow_scripts.runtime.cost import Cost, CostMeter, side_by_side


def test_busy_time_is_cpu_time_and_sleeping_is_not():
    with CostMeter() as meter:
        time.sleep(0.3)
        idle = meter.cost()
        end = time.process_time() + 0.3
        while time.process_time() < end:
            pass
        busy = meter.cost()
    assert idle.wall_seconds >= 0.3
    assert idle.user_seconds + idle.system_seconds < 0.2
    assert busy.user_seconds + busy.system_seconds >= 0.29


def test_peak_memory_sees_an_allocation_that_is_gone():
    with CostMeter(interval=0.01) as meter:
        before = meter.cost().peak_rss_mb
        block = np.ones(100 * 2**20, dtype=np.uint8)
        time.sleep(0.1)
        del block
        time.sleep(0.05)
        cost = meter.cost()
    assert cost.peak_rss_mb > before + 90
    assert cost.mean_rss_mb < cost.peak_rss_mb


def test_sessions_add_times_and_keep_the_highest_peak():
    total = Cost(10, 8, 1, 500, 400, 0) + Cost(30, 20, 2, 450, 440, 7)
    assert total == Cost(40, 28, 3, 500, pytest.approx(430), 7)


def test_processes_side_by_side_add_up_and_the_longest_wall_counts():
    costs = [Cost(10, 8, 1, 500, 400, 7), Cost(11, 20, 2, 450, 440, 5)]
    assert side_by_side(costs) == Cost(11, 28, 3, 950, 840, 7)


def test_no_cost_is_neutral():
    cost = Cost(10, 8, 1, 500, 400, 0)
    assert Cost() + cost == cost
