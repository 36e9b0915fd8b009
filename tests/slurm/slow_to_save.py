"""A job that takes its time to save when it gets SIGTERM.

python -m tests.slurm.slow_to_save FILE
"""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from types import FrameType

# longer than what is left behind by a step lives
SECONDS = 8


def save(number: int, frame: FrameType | None) -> None:
    time.sleep(SECONDS)
    Path(sys.argv[1]).write_text("saved\n")
    sys.exit("stopped by SIGTERM")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, save)
    print("ready", flush=True)
    while True:
        signal.pause()
