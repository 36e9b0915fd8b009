"""Jobs that are killed at a random moment and started again; nothing may show it afterwards."""

from __future__ import annotations

import random
import time

from benchmarks.faults.counts import Counts
from benchmarks.faults.workbench import Job, Workbench, finished_study


def run(count: int, seed: int) -> Counts:
    with finished_study() as bench:
        return kill_jobs(bench, count, seed)


def kill_jobs(bench: Workbench, count: int, seed: int) -> Counts:
    """SIGKILL, once or twice, then a start that is left alone."""
    generator = random.Random(seed)
    lasting: dict[Job, float] = {}
    same, faults = 0, []
    for _ in range(count):
        job = generator.choice(bench.jobs)
        with bench.disturbed():
            if job not in lasting:
                bench.remove_outputs(job)
                begin = time.monotonic()
                bench.run(job)
                lasting[job] = time.monotonic() - begin
            moments = [generator.uniform(0, lasting[job]) for _ in range(generator.choice((1, 2)))]
            for moment in moments:
                bench.remove_outputs(job)
                process = bench.start(job)
                time.sleep(moment)
                process.kill()
                process.wait()
            bench.remove_outputs(job)
            outcome = bench.run(job)
            changed = bench.differences()
        if outcome.status == 0 and not changed:
            same += 1
        else:
            killed = ", ".join(f"{moment:.2f}" for moment in moments)
            found = f"{outcome}; differs: {', '.join(changed[:3]) or 'nothing'}"
            faults.append(f"{job}, killed after {killed} of {lasting[job]:.2f} s: {found}")
    return Counts(count, 0, same, faults)
