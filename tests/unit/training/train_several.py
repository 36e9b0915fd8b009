"""Several runs of the entry point in one start of its processes.

    python -m tests.unit.training.train_several FILE

FILE lists the arguments of each run, as JSON. Each process tells its highest memory in the end.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path
from typing import Any

from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType

from workflow_scripts.runtime.cli import call
from workflow_scripts.training import train


def main() -> None:
    let_the_cpu_shard()
    for arguments in json.loads(Path(sys.argv[1]).read_text()):
        call(train.main, arguments)
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss} KiB", flush=True)


def let_the_cpu_shard() -> None:
    """Has accelerate shard over processes on the CPU, which torch can and accelerate refuses."""
    build = AcceleratorState.__init__

    def build_sharded(self: AcceleratorState, *arguments: Any, **options: Any) -> None:
        build(self, *arguments, **options)
        plugin = options.get("fsdp_plugin")
        if plugin is not None and self.distributed_type == DistributedType.MULTI_CPU:
            self.fsdp_plugin = plugin
            self.distributed_type = DistributedType.FSDP
            PartialState._shared_state["distributed_type"] = DistributedType.FSDP

    AcceleratorState.__init__ = build_sharded


if __name__ == "__main__":
    main()
