"""Errors that a person can act on, and how an entry point reports them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path


class InputError(ValueError):
    """Bad input. The message is one line: which key, file or item, and what to do."""


def without_home(text: str) -> str:
    """The text with the user's home folder written `~`: results and logs are shared."""
    home = str(Path.home())
    return text if home == "/" else text.replace(home, "~")


def run_entry_point(main: Callable[[], None]) -> None:
    """Runs `main`; an InputError becomes one line on standard error and exit status 2."""
    try:
        main()
    except InputError as error:
        print(f"error: {without_home(str(error))}", file=sys.stderr)
        sys.exit(2)
