"""Jobs that are killed at a random moment and started again; nothing may show it afterwards.

Half of the jobs that leave a state to resume from find a file of it damaged.
"""

from __future__ import annotations

import random
import time
from pathlib import Path

from benchmarks.faults.counts import Counts
from benchmarks.faults.damages import damages_of
from benchmarks.faults.workbench import Job, Workbench, finished_study

_STATES = (".resume", ".completing", ".study")


def run(count: int, seed: int) -> Counts:
    with finished_study() as bench:
        return kill_jobs(bench, count, seed)


def kill_jobs(bench: Workbench, count: int, seed: int) -> Counts:
    """SIGKILL, once or twice, then a start that is left alone."""
    generator = random.Random(seed)
    programs: dict[str, list[Job]] = {}
    for job in bench.jobs:
        programs.setdefault(job.name, []).append(job)
    lasting: dict[Job, float] = {}
    same, faults = 0, []
    for _ in range(count):
        job = generator.choice(programs[generator.choice(sorted(programs))])
        with bench.disturbed():
            if job not in lasting:
                lasting[job] = _seconds(bench, job)
            moments = [generator.uniform(0, lasting[job]) for _ in range(generator.choice((1, 2)))]
            for moment in moments:
                bench.remove_outputs(job)
                process = bench.start(job)
                time.sleep(moment)
                process.kill()
                process.wait()
            damaged = _damage_state(bench.folder, generator)
            bench.remove_outputs(job)
            outcome = bench.run(job)
            changed = bench.differences()
        if outcome.status == 0 and not changed:
            same += 1
        else:
            killed = ", ".join(f"{moment:.2f}" for moment in moments)
            found = f"{outcome}; differs: {', '.join(changed[:3]) or 'nothing'}"
            faults.append(f"{job}, killed after {killed} of {lasting[job]:.2f} s{damaged}: {found}")
    return Counts(count, 0, same, faults)


def _seconds(bench: Workbench, job: Job) -> float:
    bench.remove_outputs(job)
    begin = time.monotonic()
    bench.run(job)
    return time.monotonic() - begin


def _damage_state(folder: Path, generator: random.Random) -> str:
    """Damages one file of a state that is there, or none. Returns what it did, in words."""
    files = sorted(
        file
        for state in _STATES
        for parent in folder.glob(f"results/**/{state}")
        for file in parent.rglob("*")
        if file.is_file()
    )
    if not files or generator.random() < 0.5:
        return ""
    file = generator.choice(files)
    name, apply = generator.choice(list(damages_of(file).items()))
    apply(file, generator)
    return f", {file.relative_to(folder)} {name}"
