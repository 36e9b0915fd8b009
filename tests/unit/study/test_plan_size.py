"""A plan that is large takes no more work a run than a small one."""

from __future__ import annotations

import copy
import sys
from types import FrameType
from typing import Any

from benchmarks.faults.planned import plan_all
from tests.tiny_experiment import EXPERIMENT
from workflow_scripts.study.load import load_study


def calls_a_run(conditions: int, seeds: int) -> float:
    config = copy.deepcopy(EXPERIMENT)
    distilled = config["conditions"]["distilled"]
    config["conditions"] = {f"kl-{n}": distilled for n in range(conditions)}
    members = ["0-shot", *config["conditions"]]
    config["comparisons"] = {"main": {"question": "?", "members": members, "design": "first"}}
    config |= {"seeds": list(range(seeds)), "transfer": {}}
    calls = 0

    def count(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        plan_all(load_study(config))
    finally:
        sys.setprofile(None)
    return calls / (conditions * seeds)


def test_the_work_of_a_run_does_not_grow_with_the_plan():
    small, large = calls_a_run(8, 5), calls_a_run(32, 10)
    assert large < small
