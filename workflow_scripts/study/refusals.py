"""What pydantic refuses, in one line for each key of the config: its path and what is wrong."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from pydantic import ValidationError

from workflow_scripts.config.base import Strict
from workflow_scripts.config.terms import objectives_of

# pydantic names the chosen class of a union in an error's path, after these keys or a list index
_UNIONS = {
    "terms": objectives_of(Strict),
    "adapter": ("lora", "bitfit", "full"),
    "shots": ("constrained-int", "literal['most']"),
    "top_k": ("constrained-int", "literal['all']"),
    "options": ("str", "tuple[str, ...]"),
    "layers": ("literal['all','early','middle','late']", "tuple[constrained-int, ...]"),
    "members": ("tuple[constrained-str, ...]", "dict[constrained-str,str]"),
    "values": ("tuple[union[bool,int,float,str], ...]", "dict[constrained-str,any]"),
    "target_modules": ("literal['all-linear','attention']", "tuple[str, ...]"),
}
# pydantic's kinds of error, in words of a config file
_TEXT = "must be text"
_KEYS = "must hold keys with values (`key: value`)"
_REASONS = {
    "missing": "is required",
    "tuple_type": "must be a list (`[one, another]`)",
    "dict_type": _KEYS,
    "model_type": _KEYS,
    "model_attributes_type": _KEYS,
    "union_tag_invalid": _KEYS,
    "union_tag_not_found": "must say its `objective`",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
}
# how the patterns of names begin
_NAME = "^[A-Za-z0-9][A-Za-z0-9._~=+-]*"


def error_lines(error: ValidationError) -> list[str]:
    """One line for each key; where a value fits none of several kinds, with what each asks."""
    errors = error.errors()
    places = [item["loc"] for item in errors]
    reasons: dict[str, list[str]] = {}
    for item in errors:
        place = item["loc"]
        inside = [other for other in places if len(other) > len(place)]
        # of a list whose entries are refused it is said too that nothing is left of it
        if item["type"] == "too_short" and any(o[: len(place)] == place for o in inside):
            continue
        reasons.setdefault(_path(place), []).append(_reason(item))
    return [f"{path}: {'; or '.join(dict.fromkeys(own))}" for path, own in reasons.items()]


def _path(location: Sequence[int | str]) -> str:
    """The key's path as written in the file, without the names of classes tried for a union."""
    keys: list[str] = []
    for part in location:
        section = keys[-2] if keys and keys[-1].isdigit() else keys[-1] if keys else ""
        if part not in _UNIONS.get(section, ()) and part != "[key]":
            keys.append(str(part))
    return ".".join(keys) or "config"


def _reason(item: Mapping[str, Any]) -> str:
    given, told = item["input"], item.get("ctx", {})
    shown = f" (given: {given!r})" if isinstance(given, str | int | float) else ""
    if given is None or isinstance(given, date):
        shown = f" (given: {given or 'nothing'})"
    match item["type"]:
        case "missing" | "union_tag_not_found":
            return _REASONS[item["type"]]
        case "string_type":
            reason = _must_be_text(given)
        case "tuple_type" if isinstance(given, str | int | float):
            reason = f"must be a list: [{json.dumps(given)}]"
        case "string_pattern_mismatch" if str(told["pattern"]).startswith(_NAME):
            reason = "must be letters, digits and ._~=+- and begin with a letter or digit"
        case "union_tag_invalid" if told["tag"]:
            valid = re.findall("'([^']+)'", told["expected_tags"])
            kind = "objective" if "objective" in told["discriminator"] else "kind"
            near = difflib.get_close_matches(told["tag"], valid, n=1)
            return f"there is no {kind} '{told['tag']}'; valid here: {', '.join(near or valid)}"
        case "literal_error":
            valid = re.findall("'([^']+)'", told["expected"])
            near = difflib.get_close_matches(str(given), valid, n=1)
            reason = f"must be {' or '.join(near or valid)}"
        case kind:
            reason = _REASONS.get(kind, str(item["msg"]).removeprefix("Value error, "))
    return reason + shown


def _must_be_text(given: Any) -> str:
    if isinstance(given, bool):
        return "must be text; to YAML, yes, no, on, off, true and false are text in quotes only"
    if given is None:
        return "must be text; to YAML, null and ~ are text in quotes only"
    return "must be text; put it in quotes" if isinstance(given, int | float | date) else _TEXT


def unknown(name: str, known: Iterable[str], path: str, kind: str) -> Iterator[tuple[str, str]]:
    """The problem (key path, what is wrong there) of a name that is not among the known ones."""
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        valid = near[0] if near else ", ".join(known) or "none is defined"
        yield path, f"no {kind} named '{name}'; valid here: {valid}"
