"""Validation errors of pydantic as one line for each key: its path, and what is wrong."""

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

# in an error's path pydantic puts the class tried for a union after these keys or a list index
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
# kind of error → message
_TEXT = "must be text"
_KEYS = "must be a mapping (`key: value`)"
_REASONS = {
    "missing": "is required",
    "tuple_type": "must be a list (`[one, another]`)",
    "dict_type": _KEYS,
    "model_type": _KEYS,
    "model_attributes_type": _KEYS,
    "union_tag_invalid": _KEYS,
    "union_tag_not_found": "needs an `objective`",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "finite_number": "must be a finite number",
    "string_pattern_mismatch": "must be a checksum of 64 hexadecimal digits",
    "date_from_datetime_parsing": "must be a date (`2025-01-31`)",
}
_BOUNDS = {
    "greater_than": "must be above",
    "greater_than_equal": "must be at least",
    "less_than": "must be below",
    "less_than_equal": "must be at most",
}
# beginning of the patterns of names
_NAME = "^[A-Za-z0-9][A-Za-z0-9._~=+-]*"


def error_lines(error: ValidationError) -> list[str]:
    """One line for each key; a value that fits none of several types gets the message of each."""
    errors = error.errors()
    places = [item["loc"] for item in errors]
    reasons: dict[str, list[str]] = {}
    for item in errors:
        place = item["loc"]
        inside = [other for other in places if len(other) > len(place)]
        # a list whose entries are refused is also called too short
        if item["type"] == "too_short" and any(o[: len(place)] == place for o in inside):
            continue
        reasons.setdefault(_path(place), []).append(_reason(item))
    return [f"{path}: {'; or '.join(dict.fromkeys(own))}" for path, own in reasons.items()]


def _path(location: Sequence[int | str]) -> str:
    """The key's path in the file, without the classes tried for a union."""
    keys: list[str] = []
    for part in location:
        section = keys[-2] if keys and keys[-1].isdigit() else keys[-1] if keys else ""
        if part not in _UNIONS.get(section, ()) and part != "[key]":
            keys.append(str(part))
    return ".".join(keys) or "config"


def _reason(item: Mapping[str, Any]) -> str:
    given, context = item["input"], item.get("ctx", {})
    shown = f" (given: {given!r})" if isinstance(given, str | int | float) else ""
    if given is None or isinstance(given, date):
        shown = f" (given: {given or 'nothing'})"
    # a password in a URL, wherever one is written
    shown = re.sub(r"://[^/@\s]*@", "://…@", shown)
    match item["type"]:
        case "secret":
            return str(item["msg"])
        case "missing" | "union_tag_not_found":
            return _REASONS[item["type"]]
        case "string_type":
            reason = _must_be_text(given)
        case "tuple_type" if isinstance(given, str | int | float):
            reason = f"must be a list: [{json.dumps(given)}]"
        case "string_pattern_mismatch" if str(context["pattern"]).startswith(_NAME):
            reason = "must consist of letters, digits and ._~=+- and begin with a letter or digit"
        case "union_tag_invalid" if context["tag"]:
            valid = re.findall("'([^']+)'", context["expected_tags"])
            kind = "objective" if "objective" in context["discriminator"] else "kind"
            near = difflib.get_close_matches(context["tag"], valid, n=1)
            return f"no {kind} named '{context['tag']}'; valid here: {', '.join(near or valid)}"
        case "literal_error":
            valid = re.findall("'([^']+)'", context["expected"])
            near = difflib.get_close_matches(str(given), valid, n=1)
            reason = f"must be {' or '.join(near or valid)}"
        case kind if kind in _BOUNDS:
            (bound,) = context.values()
            reason = f"{_BOUNDS[kind]} {bound:g}"
        case "too_short":
            least = context["min_length"]
            reason = "must not be empty" if least == 1 else f"needs at least {least} entries"
        case kind:
            reason = _REASONS.get(kind, str(item["msg"]).removeprefix("Value error, "))
    return reason + shown


def _must_be_text(given: Any) -> str:
    if isinstance(given, bool):
        return "must be text; YAML reads yes, no, on, off, true and false as text only in quotes"
    if given is None:
        return "must be text; YAML reads null and ~ as text only in quotes"
    return "must be text; put it in quotes" if isinstance(given, int | float | date) else _TEXT


def unknown(name: str, known: Iterable[str], path: str, kind: str) -> Iterator[tuple[str, str]]:
    """(key path, message) for a name that is not among the known ones."""
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        valid = near[0] if near else ", ".join(known) or "none is defined"
        yield path, f"no {kind} named '{name}'; valid here: {valid}"
