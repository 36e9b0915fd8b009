"""Config files as written, and the local files that they name.

Snakemake reads config files itself (JSON, else YAML 1.1). YAML silently drops duplicate keys and
reads some numbers in another base.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from workflow_scripts.config.base import SOURCE_KIND, literal_escape
from workflow_scripts.config.data import MIXTURE
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import expanded

_MERGE = "tag:yaml.org,2002:merge"
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
# 010 is 8, and 1:30 is 90
_BASE_8_OR_60 = re.compile(r"[-+]?0[0-7_]+|.*:.*")
# plain and single-quoted text
_WITHOUT_ESCAPES = (None, "'")


def check_config_file(path: Path) -> None:
    """Refuses duplicate keys, numbers in base 8 or 60, and `\\n` outside double quotes.

    Raises InputError with one line for each problem: the file, the key's path, the lines.
    """
    problems = list(_problems(_parsed(path), "", set()))
    if problems:
        raise InputError("\n".join(f"{os.path.relpath(path)}: {each}" for each in problems))


def local_path(source: str) -> Path | None:
    """The file or folder of a task's source; None for other kinds of source (`hub:…`)."""
    elsewhere = source == MIXTURE or SOURCE_KIND.match(source)
    return None if elsewhere else expanded(source)


def _parsed(path: Path) -> yaml.Node | None:
    text = path.read_text(encoding="utf-8")
    try:
        json.loads(text)
    except ValueError:
        pass
    else:
        text = text.replace("\t", " ")  # JSON is YAML except for tabs between its parts
    return yaml.compose(text, Loader=yaml.SafeLoader)


def _problems(node: yaml.Node | None, place: str, seen: set[int]) -> Iterator[str]:
    """seen: ids of visited nodes; an alias leads to the node of its anchor."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        yield from _repeated(node, place)
        for key, value in node.value:
            yield from _problems(value, _below(place, key), seen)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _problems(value, f"{place}.{index}", seen)
    elif isinstance(node, yaml.ScalarNode):
        yield from _misread(node, place)


def _misread(node: yaml.ScalarNode, place: str) -> Iterator[str]:
    if node.tag in _NUMBERS and _BASE_8_OR_60.fullmatch(node.value):
        yield (
            f"{place}: YAML reads {node.value} in line {_line(node)} as "
            f"{yaml.safe_load(node.value)}; write that number, or put the text in quotes"
        )
    elif node.style in _WITHOUT_ESCAPES and (escape := literal_escape(node.value)):
        yield (
            f"{place}: YAML reads {escape} in line {_line(node)} as a backslash and a letter; put "
            f"the text in double quotes, or write \\{escape} if you mean a backslash"
        )


def _repeated(mapping: yaml.MappingNode, place: str) -> Iterator[str]:
    first: dict[tuple[str, str], yaml.Node] = {}
    for key, _ in mapping.value:
        if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
            continue
        earlier = first.setdefault((key.tag, key.value), key)
        if earlier is not key:
            yield (
                f"{_below(place, key)}: appears twice, in lines {_line(earlier)} and "
                f"{_line(key)}; remove or rename one"
            )


def _below(place: str, key: yaml.Node) -> str:
    name = str(key.value)
    return f"{place}.{name}" if place else name


def _line(node: yaml.Node) -> int:
    line: int = node.start_mark.line
    return line + 1
