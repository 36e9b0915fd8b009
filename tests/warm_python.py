"""Python processes that have torch, transformers and peft imported when they begin.

Each is a process of its own, forked from a server that has run nothing but those imports. It is
killed, terminated and limited as any other, and saves the five seconds that the imports take.
"""

from __future__ import annotations

import atexit
import os
import runpy
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import IO

CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload(
    ["workflow_scripts.training.run", "workflow_scripts.engines.transformers_engine"]
)


class WarmPython:
    """`python <arguments>`, with the names of `subprocess.Popen` for what tests ask of it."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str] = os.environ):
        pipes = [CONTEXT.Pipe(duplex=False) for _ in range(2)]
        ends = [end for _, end in pipes]
        self._process = CONTEXT.Process(target=_run, args=(arguments, dict(environment), *ends))
        self._process.start()
        for end in ends:
            end.close()
        self.stdout, self._stderr = (_text(reader) for reader, _ in pipes)
        self.terminate, self.kill = self._process.terminate, self._process.kill

    @property
    def returncode(self) -> int | None:
        """The exit status, or minus the target that ended it; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self) -> int | None:
        self._process.join()
        return self.returncode

    def communicate(self) -> tuple[str, str]:
        """What is left of its output and its errors, once it has ended."""
        told = self.stdout.read(), self._stderr.read()
        self.wait()
        return told


def _text(reader: Connection) -> IO[str]:
    with reader:
        return os.fdopen(os.dup(reader.fileno()))


def _run(
    arguments: Sequence[str], environment: Mapping[str, str], out: Connection, err: Connection
) -> None:
    for number, end in ((1, out), (2, err)):
        os.dup2(end.fileno(), number)
        end.close()
    os.environ.clear()
    os.environ.update(environment)
    option, program, *rest = arguments
    sys.argv = [program if option == "-m" else option, *rest]
    try:
        if option == "-m":
            runpy.run_module(program, run_name="__main__", alter_sys=True)
        else:
            exec(compile(program, "-c", "exec"), {"__name__": "__main__"})
    finally:
        # a process of multiprocessing ends without them
        atexit._run_exitfuncs()
