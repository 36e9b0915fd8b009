"""The user's home folder, and what others read without it."""

from __future__ import annotations

import json
import re
from pathlib import Path


def home_folder() -> Path | None:
    """None where the user has none: no HOME, and no entry in the password file."""
    try:
        home = Path.home()
    except RuntimeError:
        return None
    return home if home.is_absolute() and home.name else None


def without_home(text: str) -> str:
    """The text with the user's home folder written `~`: results and logs are shared.

    Only whole names count: a home `/home/ann` changes neither `/home/anna` nor `/mnt/home/ann`.
    """
    home = home_folder()
    if home is None:
        return text
    # as it is named and where it lies, each also as JSON spells it
    spellings = {str(home), str(home.resolve())}
    spellings |= {json.dumps(spelling)[1:-1] for spelling in spellings}
    either = "|".join(re.escape(each) for each in sorted(spellings, key=len, reverse=True))
    # a path begins after the slashes of a URL, and after the letter of an escape (`\\n/home/ann`)
    before = r"(?:(?<![\w.~@+=%/-])|(?<==)|(?<=://)|(?<=\\[nrt]))"
    after = r"(?![\w~@+=%-]|\.+[\w-])"
    return re.sub(f"{before}(?:{either}){after}", "~", text)
