"""Jobs that are started a second time while they run, and a Snakemake that is killed and repeated.

The second start must wait, or say that another process makes the same; the results must be those
of one start.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable

from benchmarks.faults.counts import Counts
from benchmarks.faults.workbench import Outcome, Workbench, finished_study

# one in so many trials kills a whole Snakemake, which takes longer
_SNAKEMAKE_EVERY = 10
_RUN = "results/tiny/tiny/echo/runs/distilled/seed-0/completions.parquet"


def run(count: int, seed: int) -> Counts:
    with finished_study() as bench:
        snakemakes = count // _SNAKEMAKE_EVERY
        jobs = start_twice(bench, count - snakemakes, seed)
        return jobs + kill_snakemake(bench, snakemakes, seed)


def start_twice(bench: Workbench, count: int, seed: int) -> Counts:
    """One job, and the same again at a random moment of the first second."""
    return _tried(bench, count, seed, _two_starts)


def kill_snakemake(bench: Workbench, count: int, seed: int) -> Counts:
    """SIGKILL of Snakemake's main process alone, then the same command at once."""
    return _tried(bench, count, seed, _killed_snakemake)


def _tried(
    bench: Workbench,
    count: int,
    seed: int,
    disturb: Callable[[Workbench, random.Random], tuple[str, list[Outcome]]],
) -> Counts:
    generator = random.Random(seed)
    refused, same, faults = 0, 0, []
    for _ in range(count):
        with bench.disturbed():
            what, ends = disturb(bench, generator)
            changed = bench.differences(costs=False)
        if changed or not all(end.status == 0 or end.error for end in ends):
            told = ", ".join(map(str, ends))
            faults.append(f"{what}: {told}; differs: {', '.join(changed[:3]) or 'nothing'}")
        elif any(end.error for end in ends):
            refused += 1
        else:
            same += 1
    return Counts(count, refused, same, faults)


def _two_starts(bench: Workbench, generator: random.Random) -> tuple[str, list[Outcome]]:
    job = generator.choice(bench.jobs)
    bench.remove_outputs(job)
    processes = [bench.start(job)]
    time.sleep(generator.uniform(0, 1))
    bench.remove_outputs(job)
    processes.append(bench.start(job))
    return f"{job}, twice", [bench.finish(process) for process in processes]


def _killed_snakemake(bench: Workbench, generator: random.Random) -> tuple[str, list[Outcome]]:
    (bench.folder / _RUN).unlink()
    (bench.folder / _RUN.replace("completions.parquet", "checkpoints/manifest.json")).unlink()
    first = bench.snakemake("--cores", "1", "--quiet", "--", _RUN)
    moment = generator.uniform(3, 12)
    time.sleep(moment)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    bench.snakemake("--unlock", "--", _RUN).communicate()
    again = bench.snakemake("--cores", "1", "--quiet", "--rerun-incomplete", "--", _RUN)
    said, _ = again.communicate()
    return f"Snakemake killed after {moment:.1f} s", [Outcome(again.returncode, said)]
