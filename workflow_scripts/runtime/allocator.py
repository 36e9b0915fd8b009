"""The memory allocator of jobs on the CPU."""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from ctypes.util import find_library
from pathlib import Path

# one file on every Linux, of gperftools; vLLM's CPU build asks for the same
_NAME = "tcmalloc_minimal"
_PRELOADED = "LD_PRELOAD"


def preload_allocator(
    environment: MutableMapping[str, str], prefix: Path = Path(sys.prefix)
) -> str | None:
    """Have the programs that this environment starts use tcmalloc, where it is installed.

    PyTorch gives a step's large tensors back as soon as it has used them, and glibc gives them
    back to the kernel, which clears them for the next step: tcmalloc keeps them.
    `benchmarks/allocator.py` measures it.

    prefix: of the Python environment, which may bring the library, as one of conda does.
    Returns the library; None where there is none, or another is already preloaded.
    """
    if _PRELOADED in environment:
        return None
    own = sorted((prefix / "lib").glob(f"lib{_NAME}.so*"))
    library = str(own[0]) if own else find_library(_NAME)
    if library:
        environment[_PRELOADED] = library
    return library
