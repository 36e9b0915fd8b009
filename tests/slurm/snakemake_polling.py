"""Snakemake that polls its jobs at a fixed interval; for tests, whose jobs are short.

The executor plugin waits ten seconds longer after each time that no job had ended, and no option
turns that off.

    python -m tests.slurm.snakemake_polling SECONDS <arguments of snakemake>…
"""

from __future__ import annotations

import asyncio
import sys

from snakemake.cli import main
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor


def poll_every(seconds: float) -> None:
    async def sleep(self: RemoteExecutor) -> None:
        await asyncio.sleep(seconds)

    assert callable(RemoteExecutor.sleep)
    RemoteExecutor.sleep = sleep


if __name__ == "__main__":
    poll_every(float(sys.argv[1]))
    sys.exit(main(sys.argv[2:]))
