"""A job that writes when it ran and which devices it saw, and ends after a second one has begun.

python -m tests.slurm.recorder FILE
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from tests.slurm.cluster import wait_until
from workflow_scripts.runtime.files import write_json
from workflow_scripts.runtime.gpu_lease import VISIBLE


def main(record: Path) -> None:
    begin = time.time()
    record.with_suffix(".begun").touch()
    wait_until(lambda: len(list(record.parent.glob("*.begun"))) > 1, "a second job")
    time.sleep(1)
    devices = os.environ[VISIBLE].split(",")
    write_json(record, {"devices": devices, "begin": begin, "end": time.time()})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
