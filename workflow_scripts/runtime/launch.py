"""Starts a job's program on the devices that it asked for.

    python -m workflow_scripts.runtime.launch --gpu 2 workflow_scripts.training.train <arguments>…

The program takes over this process, so signals reach it, its exit status is the job's, and its
devices are free again as soon as it is gone.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import MutableMapping
from pathlib import Path

from workflow_scripts.runtime.errors import InputError, run_entry_point

# set in jobs that Snakemake submitted to a scheduler, which then has assigned their devices
SUBMITTED = "FEW_SHOT_DISTILLATION_SUBMITTED"


# --- what the rules ask -----------------------------------------------------------------------


def command_of(entry_point: str) -> str:
    """The shell command of an entry point, `<stage>.<rule>`, without its arguments.

    It takes the shell's place: a scheduler's SIGTERM would end the shell at once, and with it the
    job, while the program is still saving its state.

    Snakemake tells OpenMP and BLAS how many threads the job has. Tokenizers ask Rayon, which would
    take every core.
    """
    return f"RAYON_NUM_THREADS=$OMP_NUM_THREADS exec python -m workflow_scripts.{entry_point}"


_LAUNCHER = f"{command_of('runtime.launch')} --gpu {{resources.gpu}}"


def gpu_command_of(entry_point: str) -> str:
    """The same for a rule with the resource `gpu`: one process that sees that many devices."""
    return f"{_LAUNCHER} workflow_scripts.{entry_point}"


def distributed_command_of(entry_point: str) -> str:
    """The same with a process for each device."""
    return f"{_LAUNCHER} --process-per-gpu workflow_scripts.{entry_point}"


def expose_to_jobs(root: Path, submitted: bool) -> None:
    """Lets jobs find this interpreter, its virtual environment activated or not, and the package.

    A conda environment that Snakemake activates still comes first. OpenMP's threads wait for each
    other asleep unless the user says otherwise: awake, they keep the cores from other jobs, which
    are what they wait for where there are more threads than cores.

    submitted: whether this Snakemake is itself a job of a scheduler, started for one job.
    """
    _prepend("PATH", Path(sys.executable).parent)
    _prepend("PYTHONPATH", root)
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    if submitted:
        os.environ[SUBMITTED] = "1"


def _prepend(variable: str, folder: Path) -> None:
    before = os.environ.get(variable)
    os.environ[variable] = os.pathsep.join([str(folder), *([before] if before else [])])


# --- the program ------------------------------------------------------------------------------


def main() -> None:
    arguments = parse_arguments()
    assign_devices(arguments.gpu, os.environ)
    command = ["-m", arguments.module, *arguments.arguments]
    if arguments.process_per_gpu and arguments.gpu > 1:
        command = distributed(command, arguments.gpu)
        share_threads(arguments.gpu, os.environ)
    os.execv(sys.executable, [sys.executable, *command])


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gpu", type=int, required=True, help="devices that the job asks for")
    parser.add_argument("--process-per-gpu", action="store_true")
    parser.add_argument("module", help="what to run")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="its arguments")
    return parser.parse_args()


def assign_devices(count: int, environment: MutableMapping[str, str]) -> None:
    """Sets the devices that the program may see, and prints them.

    A job of a scheduler keeps what that has set; any other leases from the machine's pool. A job
    that asks for none sees none.
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
    """The Python command as so many processes, one for each device, started by accelerate."""
    launcher = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_machines", "1"]
    settings = ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    # else those of a user's accelerate config would replace the leased ones
    devices = ["--gpu_ids", "all"]
    return [*launcher, *settings, *devices, "--num_processes", str(processes), *command]


def share_threads(processes: int, environment: MutableMapping[str, str]) -> None:
    """Divides the job's threads among its processes."""
    threads = int(environment.get("OMP_NUM_THREADS", os.cpu_count() or 1))
    share = str(max(1, threads // processes))
    environment["OMP_NUM_THREADS"] = environment["RAYON_NUM_THREADS"] = share


if __name__ == "__main__":
    run_entry_point(main)
