"""A program that uses the devices it may see for some seconds, and notices who else does.

Each device is an abstract socket, which the system frees with the process: two programs on one
device cannot both bind it. Exit status 3 says that somebody else was there.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
import time


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--place", required=True, help="name of the test's machine")
    parser.add_argument("--seconds", type=float, required=True)
    arguments = parser.parse_args()
    held = []
    for device in os.environ["CUDA_VISIBLE_DEVICES"].split(","):
        held.append(socket.socket(socket.AF_UNIX))
        try:
            held[-1].bind(f"\0{arguments.place}-{device}")
        except OSError:
            print(f"{device} is in use", file=sys.stderr)
            sys.exit(3)
    print("using", os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
    time.sleep(arguments.seconds)


if __name__ == "__main__":
    main()
