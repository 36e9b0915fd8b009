"""Runs a command until standard input closes, then ends it with all its children.

Whoever starts the guard holds the other end of that pipe. When that process ends, by whatever
signal, the system closes the pipe, so the command is never left behind. Needs nothing but Python:

    python process_guard.py <command> <arguments>…
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading

GRACE = 20.0


def main() -> None:
    # a signal to the whole job is the job's to handle; the pipe closes when it ends. The command
    # inherits SIG_IGN, but no handler
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    command = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True)
    threading.Thread(target=_end_with_input, args=(command,), daemon=True).start()
    status = command.wait()
    # what it started may have outlived it
    _signal_group(command.pid, signal.SIGKILL)
    sys.exit(status if status >= 0 else 128 - status)


def _end_with_input(command: subprocess.Popen[bytes]) -> None:
    while os.read(0, 1):
        pass
    _signal_group(command.pid, signal.SIGTERM)
    threading.Timer(GRACE, _signal_group, (command.pid, signal.SIGKILL)).start()


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


if __name__ == "__main__":
    main()
