"""Texts of a config that may lie in files: `file:<path>`."""

from __future__ import annotations

from pathlib import Path

from workflow_scripts.runtime.errors import InputError

IN_FILE = "file:"


def text_of(value: str | None) -> str | None:
    """The text, or that of the file that it names, without white space around it.

    Raises InputError naming a file that is missing, empty or not UTF-8 text.
    """
    if value is None or not value.startswith(IN_FILE):
        return value
    path = value.removeprefix(IN_FILE)
    try:
        text = Path(path).read_text(encoding="utf-8-sig").strip()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a UTF-8 text file ({error})") from None
    if not text:
        raise InputError(f"{path}: is empty")
    return text
