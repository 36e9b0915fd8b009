"""Starting a job's program, on the devices that it asked for.

    python -m workflow_scripts.runtime.launch --gpu 2 workflow_scripts.training.train <arguments>…

The program takes over this process, so signals reach it, its exit status is the job's, and its
devices are free again as soon as it is gone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import MutableMapping
from pathlib import Path

from workflow_scripts.runtime.allocator import preload_allocator
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.snakemake_process import announce

# set in jobs that Snakemake submitted to a scheduler, which then has assigned their devices
SUBMITTED = "FEW_SHOT_DISTILLATION_SUBMITTED"


# --- what the rules ask -----------------------------------------------------------------------


def command_of(entry_point: str, *, gpu: bool = False, process_per_gpu: bool = False) -> str:
    """The shell command of an entry point, `<stage>.<module>`, without its arguments.

    It replaces the shell: a scheduler's SIGTERM would end the shell at once, and with it the job,
    while the program still saves its state.

    Snakemake gives OpenMP and BLAS the job's threads. Tokenizers ask Rayon, which would take every
    core.

    gpu: whether the job leases the devices of its resource `gpu`; one process sees them all.
    process_per_gpu: the same with a process for each device.
    """
    module = f"workflow_scripts.{entry_point}"
    if gpu or process_per_gpu:
        each = " --process-per-gpu" if process_per_gpu else ""
        module = f"workflow_scripts.runtime.launch --gpu {{resources.gpu}}{each} {module}"
    return f"RAYON_NUM_THREADS=$OMP_NUM_THREADS exec python -m {module}"


def program(
    entry_point: str,
    *,
    gpu: bool = False,
    process_per_gpu: bool = False,
    params: str = "",
    input: str = "",
    output: str = "",
    wildcards: str = "",
    words: str = "",
) -> str:
    """The shell command of a rule: an entry point with its arguments; its log has what it prints.

    gpu, process_per_gpu: as of `command_of`.
    params, input, output, wildcards: the rule's items that are arguments of the same name.
    words: params that are lists of flags and values.
    """
    command = command_of(entry_point, gpu=gpu, process_per_gpu=process_per_gpu)
    places = {"params": params, "input": input, "output": output, "wildcards": wildcards}
    flags = [
        f"--{name.replace('_', '-')} {{{place}.{name}:q}}"
        for place, names in places.items()
        for name in names.split()
    ]
    lists = [f"{{params.{name}:q}}" for name in words.split()]
    return " ".join([command, *flags, *lists, "> {log:q} 2>&1"])


def in_turn(first: str, second: str) -> str:
    """Two programs as one job: the second runs where the first succeeds, and adds to its log."""
    return f"{first.replace(' exec ', ' ', 1)} && {second.replace(' > {log', ' >> {log', 1)}"


def expose_to_jobs(root: Path, starts_jobs: bool, submitted: bool) -> None:
    """Let jobs find this interpreter and the package, its virtual environment activated or not.

    They end with this Snakemake.

    A conda environment that Snakemake activates still comes first. OpenMP's threads sleep
    while they wait for each other, unless the user says otherwise: awake, they keep cores from
    other jobs.

    starts_jobs: whether this is no process that Snakemake started for one of its jobs.
    submitted: whether this Snakemake is itself a job of a scheduler, started for one job.
    """
    if starts_jobs or submitted:
        announce(os.environ)
    _prepend("PATH", Path(sys.executable).parent)
    _prepend("PYTHONPATH", root)
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    if submitted:
        os.environ[SUBMITTED] = "1"


def _prepend(variable: str, folder: Path) -> None:
    before = os.environ.get(variable)
    os.environ[variable] = os.pathsep.join([str(folder), *([before] if before else [])])


# --- the program ------------------------------------------------------------------------------


def main(*command: str, gpu: int, process_per_gpu: bool = False) -> None:
    """Become a job's program on the devices that it asked for.

    command: module to run, and its arguments.
    gpu: devices that the job asks for.
    process_per_gpu: start a process for each of them.
    """
    assign_devices(gpu, os.environ)
    if not gpu:
        preload_allocator(os.environ)
    python = ["-m", *command]
    if process_per_gpu and gpu > 1:
        python = distributed(python, gpu)
        share_threads(gpu, os.environ)
    os.execv(sys.executable, [sys.executable, *python])


def assign_devices(count: int, environment: MutableMapping[str, str]) -> None:
    """Set the devices that the program may see, and print them.

    A scheduler's job keeps the devices that it was given; any other job leases some of the
    machine's. A job that asks for none sees none.
    Raises InputError when there are fewer than it asks for.
    """
    from workflow_scripts.runtime.gpu_lease import VISIBLE, lease, offered_devices

    if SUBMITTED in environment and VISIBLE in environment:
        given = environment[VISIBLE]
        if count > len([name for name in given.split(",") if name]):
            raise InputError(
                f"the job asks for {count} GPUs, but the scheduler assigned '{given}'; check the "
                "`gpu` resource of the profile"
            )
        print(f"devices: {given or 'none'} (assigned by the scheduler)", flush=True)
    elif SUBMITTED in environment and count:
        print("devices: all that are there (the scheduler names none)", flush=True)
    elif count:
        names = [device.name for device in lease(offered_devices(environment), count)]
        if VISIBLE not in environment:
            environment["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"  # the order of the indices
        environment[VISIBLE] = ",".join(names)
        print(f"devices: {environment[VISIBLE]}", flush=True)
    else:
        environment[VISIBLE] = ""
        print("devices: none, on the CPU", flush=True)


def distributed(command: list[str], processes: int) -> list[str]:
    """The Python command in N processes, one for each device, started by accelerate."""
    launcher = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_machines", "1"]
    settings = ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    # else those of a user's accelerate config would replace the leased ones
    devices = ["--gpu_ids", "all"]
    return [*launcher, *settings, *devices, "--num_processes", str(processes), *command]


def share_threads(processes: int, environment: MutableMapping[str, str]) -> None:
    """Divide the job's threads among its processes."""
    threads = int(environment.get("OMP_NUM_THREADS", os.cpu_count() or 1))
    share = str(max(1, threads // processes))
    environment["OMP_NUM_THREADS"] = environment["RAYON_NUM_THREADS"] = share


if __name__ == "__main__":
    run_program(main)
