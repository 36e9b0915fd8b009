"""A private SLURM of one node, with fake CPUs and GPUs, in a folder of its own.

Its daemons are children of this process. No systemd, no cgroups, no accounting, and nothing outside
the folder: several such clusters can run beside each other, and beside the machine's own.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.runtime.gpu_lease import VISIBLE

PROGRAMS = ["munged", "slurmctld", "slurmd", "sbatch", "srun"]
GPUS = 4
CPUS = 16
PARTITION = "main"

CONFIGURATION = """
ClusterName=private
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
MailProg=/bin/true
SwitchType=switch/none
MpiDefault=none
# no cgroups: processes are found by their parents, and memory is measured each second
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
# no database; finished jobs stay in squeue's sight
AccountingStorageType=accounting_storage/none
MinJobAge=3600
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=0
ReturnToService=2
PropagateResourceLimits=NONE
GresTypes=gpu
# more CPUs than the machine has
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:fake:{gpus}
PartitionName={partition} Nodes={host} MaxTime=INFINITE State=UP
"""

# the executor plugin takes every SLURM_* variable from the environment of a job's inner srun
SRUN = """#!/bin/sh
SLURM_CONF="{configuration}" exec {srun} "$@"
"""


@dataclass(frozen=True)
class Cluster:
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to submit here. The GPUs that a job sees are SLURM's to say."""
        return {name: value for name, value in os.environ.items() if name != VISIBLE} | {
            "SLURM_CONF": str(self.folder / "slurm.conf"),
            "PATH": f"{self.folder}/bin:{os.environ['PATH']}",
        }

    def ask(self, *command: str) -> str:
        """What a SLURM program prints."""
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=True, timeout=60
        ).stdout

    def queue(self, folder: Path | None = None) -> dict[str, str]:
        """Number → state of the jobs that wait, run or end, of all folders or submitted in one."""
        lines = self.ask("squeue", "--noheader", "--format=%i %T %Z").splitlines()
        jobs = [line.split(maxsplit=2) for line in lines]
        return {job: state for job, state, place in jobs if folder in (None, Path(place))}


def why_not() -> str | None:
    """Why no cluster can be started on this machine."""
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    if missing:
        return f"{', '.join(missing)} not installed (slurmctld, slurmd, slurm-client, munge)"
    if os.geteuid() != 0:
        return "a private SLURM is started as root only"
    return None


@contextmanager
def running_cluster(folder: Path) -> Iterator[Cluster]:
    """A cluster that takes jobs, for the time of the block."""
    cluster = Cluster(folder)
    _configure(folder)
    munged = ["munged", "--foreground", "--force", f"--key-file={folder}/munge.key"]
    munged += [f"--{kind}-file={folder}/munged.{kind}" for kind in ("pid", "log", "seed")]
    daemons = []
    try:
        daemons.append(_start(cluster, [*munged, f"--socket={folder}/munge.socket"]))
        wait_until((folder / "munge.socket").exists, "munged")
        daemons.append(_start(cluster, ["slurmctld", "-D", "-i", "-c"]))
        daemons.append(_start(cluster, ["slurmd", "-D", "-c"]))
        wait_until(lambda: "idle" in cluster.ask("sinfo", "--noheader", "-o", "%t"), "the node")
        yield cluster
        cluster.ask("scancel", "--user=root")
        wait_until(lambda: not cluster.queue(), "the end of the jobs")
    finally:
        for daemon in reversed(daemons):
            _stop(daemon)


def _configure(folder: Path) -> None:
    for name in ("state", "spool", "devices", "bin"):
        (folder / name).mkdir()
    folder.chmod(0o755)
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    # a GPU is a character device; SLURM drops plain files, and links to /dev/null are as good
    for number in range(GPUS):
        (folder / f"devices/gpu{number}").symlink_to("/dev/null")
    configuration = folder / "slurm.conf"
    controller_port, node_port = _free_ports(2)
    configuration.write_text(
        CONFIGURATION.format(
            folder=folder,
            host=socket.gethostname().split(".")[0],
            controller_port=controller_port,
            node_port=node_port,
            cpus=CPUS,
            gpus=GPUS,
            memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20 - 512,
            partition=PARTITION,
        )
    )
    (folder / "gres.conf").write_text(
        f"Name=gpu Type=fake File={folder}/devices/gpu[0-{GPUS - 1}]\n"
    )
    (folder / "cgroup.conf").write_text("CgroupAutomount=no\n")
    srun = folder / "bin/srun"
    srun.write_text(SRUN.format(configuration=configuration, srun=shutil.which("srun")))
    srun.chmod(0o755)


def _start(cluster: Cluster, command: list[str]) -> subprocess.Popen[bytes]:
    with (cluster.folder / f"{command[0]}.log").open("w") as log:
        return subprocess.Popen(
            command, env=cluster.environment, stdout=log, stderr=subprocess.STDOUT
        )


def _stop(daemon: subprocess.Popen[bytes]) -> None:
    daemon.terminate()
    try:
        daemon.wait(timeout=30)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def wait_until(happened: Callable[[], bool], what: str, seconds: float = 300) -> None:
    """Raises TimeoutError when it has not happened in time."""
    end = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(0.1)
