"""Jobs end with the Snakemake that started them, however that ends.

Killed by SIGKILL, Snakemake leaves its jobs running, and the next one would start them a second
time.
"""

from __future__ import annotations

import os
import platform
import select
import signal
import threading
from collections.abc import MutableMapping
from contextlib import suppress
from pathlib import Path

# of the Snakemake that jobs end with: its process, and where a number means that process
SNAKEMAKE = "FEW_SHOT_DISTILLATION_SNAKEMAKE"


def announce(environment: MutableMapping[str, str]) -> None:
    """Let jobs that inherit this environment end with this process."""
    environment[SNAKEMAKE] = f"{os.getpid()} {_place()}"


def end_with_snakemake() -> None:
    """End this process by SIGTERM as soon as its Snakemake has ended.

    Does nothing where no Snakemake is announced, where it runs elsewhere (in another container or
    on another machine), or where the system cannot tell; that takes Linux 5.3.
    """
    process, _, place = os.environ.get(SNAKEMAKE, "").partition(" ")
    if not process.isdigit() or place != _place() or not hasattr(os, "pidfd_open"):
        return
    try:
        ended = os.pidfd_open(int(process))
    except ProcessLookupError:
        os.kill(os.getpid(), signal.SIGTERM)
        return
    except OSError:
        return
    threading.Thread(target=_end_after, args=(ended,), daemon=True).start()


def _end_after(ended: int) -> None:
    select.select([ended], [], [])
    os.kill(os.getpid(), signal.SIGTERM)


def _place() -> str:
    """This machine, and the processes that it can name."""
    with suppress(OSError):
        return f"{platform.node()} {Path('/proc/self/ns/pid').readlink()}"
    return platform.node()
