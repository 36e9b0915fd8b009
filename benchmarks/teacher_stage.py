"""What the teacher stage of the tests' tiny study costs, in one or several checkouts in turn.

    OMP_NUM_THREADS=1 python -m benchmarks.teacher_stage ../another-checkout .

Two targets of one teacher over two shards, on a model of a few thousand weights: starting programs,
importing libraries and loading the model is nearly all that is measured, as it is on a GPU where
the model is large. CPU seconds are of Snakemake and all of its jobs.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from tabulate import tabulate

# makes the study; run with a checkout as working directory
MAKE = """
import sys
from pathlib import Path
from tests.tiny_experiment import EXPERIMENT, write_tiny_inputs
from tests.workflow.conftest import copy_of_the_project
project = copy_of_the_project(Path(sys.argv[1]), "tiny")
write_tiny_inputs(project.folder)
project.configure(EXPERIMENT)
"""
SNAKEMAKE = ("-m", "snakemake", "--configfile", "tiny.yaml", "--cores", "1", "--quiet", "all")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkouts", type=Path, nargs="+")
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        studies = [Path(scratch, str(number)) for number in range(len(asked.checkouts))]
        for checkout, study in zip(asked.checkouts, studies, strict=True):
            study.mkdir()
            _python(checkout, "-c", MAKE, str(study))
            _python(study, *SNAKEMAKE, "--", "teachers")
        again = (*SNAKEMAKE, "--forcerun", "teacher_shard", "--", "teachers")
        seconds = [[_python(study, *again) for study in studies] for _ in range(asked.repeats)]
    rows = [
        [checkout, *own, min(own)]
        for checkout, own in zip(asked.checkouts, zip(*seconds, strict=True), strict=True)
    ]
    headers = ["checkout", *(f"run {n + 1} (s)" for n in range(asked.repeats)), "least (s)"]
    print(tabulate(rows, headers, tablefmt="github", floatfmt=".1f"))


def _python(folder: Path, *arguments: str) -> float:
    """CPU seconds of a Python command and all that it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, check=True, capture_output=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


if __name__ == "__main__":
    main()
