"""What a training step on the CPU costs with the system's allocator and with tcmalloc.

    OMP_NUM_THREADS=1 python -m benchmarks.allocator

takes LoRA steps on the embedded model, each time in a process of its own, in turn, and prints CPU
time and memory.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from tabulate import tabulate

from workflow_scripts.runtime.allocator import preload_allocator
from workflow_scripts.runtime.errors import InputError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=Path("resources/models/smollm2-135m"))
    parser.add_argument("--batch", type=int, default=4, help="examples in a step")
    parser.add_argument("--length", type=int, default=150, help="tokens of an example")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.worker:
        print(json.dumps(_steps(asked.model, asked.batch, asked.length, asked.steps)))
        return

    own = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    preloaded = dict(own)
    library = preload_allocator(preloaded)
    if library is None:
        raise InputError("tcmalloc is not installed; install gperftools' libtcmalloc_minimal")
    environments = {"the system's": own, Path(library).name: preloaded}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in environments}
    for _ in range(asked.repeats):
        for name, environment in environments.items():
            command = [sys.executable, "-m", "benchmarks.allocator", "--worker", *sys.argv[1:]]
            printed = subprocess.run(
                command, env=environment, check=True, capture_output=True, text=True
            )
            found[name].append(json.loads(printed.stdout.splitlines()[-1]))

    table, first = [], None
    for name, rows in found.items():
        seconds, memory = (median(row[key] for row in rows) for key in ("seconds", "memory_mb"))
        first = first or (seconds, memory)
        table.append([name, seconds, seconds / first[0], memory, memory / first[1]])
    losses = {row["loss"] for rows in found.values() for row in rows}
    print(f"{'the same' if len(losses) == 1 else 'DIFFERENT'} losses\n")
    headers = ["allocator", "CPU seconds a step", "ratio", "peak memory, MB", "ratio"]
    print(tabulate(table, headers, tablefmt="github", floatfmt=("", ".2f", ".2f", ".0f", ".2f")))


def _steps(folder: Path, batch: int, length: int, steps: int) -> dict[str, float]:
    """CPU seconds of a step, peak memory and the last loss."""
    import resource

    import torch

    from workflow_scripts.config.training import LoraSettings
    from workflow_scripts.modeling.loading import load_weights, open_model
    from workflow_scripts.training.adapters import student_of

    torch.manual_seed(0)
    student = student_of(LoraSettings(), load_weights(open_model(folder / "manifest.json")))
    trained = [weight for weight in student.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained)

    def step() -> float:
        ids = torch.randint(student.config.vocab_size, (batch, length))
        loss = student(input_ids=ids, labels=ids, use_cache=False).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return float(loss)

    step()
    begin = time.process_time()
    losses = [step() for _ in range(steps)]
    seconds = (time.process_time() - begin) / steps
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "memory_mb": memory, "loss": losses[-1]}


if __name__ == "__main__":
    main()
