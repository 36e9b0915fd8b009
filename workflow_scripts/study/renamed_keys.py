"""Keys and values of earlier versions, with their new names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

# path of a key (`*`: any name) → its new name
KEYS = {
    "families": "comparisons",
    "max_signal_gb": "max_target_gb",
    "teacher_pass.part_size": "shard_size",
}
# path of a value, alone or in a list → old name → new name
VALUES = {
    "families.*.figures": {"standings": "forest_plot"},
    "comparisons.*.figures": {"standings": "forest_plot"},
    "tasks.*.scoring.scorer": {"parts": "components"},
}


def renamed(config: Mapping[str, Any]) -> list[str]:
    """One line for each old name in a config: key path, and what to write."""
    keys = [
        f"{path}: is now `{new}`; rename the key"
        for pattern, new in KEYS.items()
        for path, _ in _found(config, pattern.split("."))
    ]
    values = [
        f"{path}: `{value}` is now `{names[value]}`"
        for pattern, names in VALUES.items()
        for path, given in _found(config, pattern.split("."))
        for value in (given if isinstance(given, list | tuple) else [given])
        if isinstance(value, str) and value in names
    ]
    return keys + values


def _found(section: Any, pattern: list[str], path: str = "") -> Iterator[tuple[str, Any]]:
    """(path, value) of each key that the pattern matches."""
    if not pattern:
        yield path.removeprefix("."), section
    elif isinstance(section, Mapping):
        first, *rest = pattern
        for key in section if first == "*" else [first] if first in section else []:
            yield from _found(section[key], rest, f"{path}.{key}")
