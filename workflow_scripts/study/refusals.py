"""Validation errors of pydantic as one line for each key: its path, and what is wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from pydantic import ValidationError

from workflow_scripts.config.base import LONGEST_NAME
from workflow_scripts.runtime.wording import hint, shortened

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


def unreadable(section: Any, path: str = "") -> Iterator[str]:
    """One line for each key or value with half a character, which JSON can spell and no file holds.

    section: a config, or what lies at `path` in it.
    """
    for key, value in _entries(section).items():
        place = f"{path}.{written_key(key)}" if path else written_key(key)
        for text in (key, value):
            if isinstance(text, str) and re.search("[\ud800-\udfff]", text):
                yield f"{place}: {shortened(text)} has half a character; remove it"
        yield from unreadable(value, place)


def error_lines(error: ValidationError, config: Any) -> list[str]:
    """One line for each key; a value that fits none of several types gets the message of each.

    config: what was validated.
    """
    errors = error.errors()
    paths = [_path(item["loc"], config, item["type"] == "missing") for item in errors]
    reasons: dict[str, list[str]] = {}
    for path, item in zip(paths, errors, strict=True):
        is_told_inside = any(other.startswith(f"{path}.") for other in paths)
        # a list or mapping is also called none of the other types that it might have been
        if isinstance(item["input"], Mapping | list | tuple):
            others = {o["type"] for p, o in zip(paths, errors, strict=True) if p == path}
            if is_told_inside or ("value_error" in others and item["type"] != "value_error"):
                continue
        reasons.setdefault(path, []).append(_reason(item))
    return [f"{path}: {'; or '.join(dict.fromkeys(own))}" for path, own in reasons.items()]


def _path(location: Sequence[int | str], config: Any, is_missing: bool) -> str:
    """The key's path in the config.

    A location also has the names of classes that were tried for a union, which are no keys of the
    config, and a mark behind a key that is itself refused.
    """
    keys: list[str] = []
    here = config
    for place, part in enumerate(location):
        own = _entries(here)
        is_key = str(part) in own
        if is_key or (is_missing and place == len(location) - 1):
            keys.append(written_key(part))
        if is_key:
            here = own[str(part)]
    return ".".join(keys) or "config"


def _entries(section: Any) -> Mapping[str, Any]:
    """Key or number of each entry → the entry; a location names keys that are no text as text."""
    if isinstance(section, Mapping):
        return {str(key): value for key, value in section.items()}
    is_list = isinstance(section, Sequence) and not isinstance(section, str)
    return {str(number): entry for number, entry in enumerate(section)} if is_list else {}


def written_key(key: int | str) -> str:
    """A key as messages write it: short, and on one line."""
    text = str(key)
    is_plain = text.isprintable() and ":" not in text and len(text) <= LONGEST_NAME
    return text if is_plain else shortened(text)


def _reason(item: Mapping[str, Any]) -> str:
    given, context = item["input"], item.get("ctx", {})
    shown = f" (given: {shortened(given)})" if isinstance(given, str | int | float) else ""
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
            reason = "must be a list"
            if len(listed := f"[{json.dumps(given)}]") < LONGEST_NAME:
                reason += f": {listed}"
        case "string_pattern_mismatch" if str(context["pattern"]).startswith(_NAME):
            reason = "must consist of letters, digits and ._~=+- and begin with a letter or digit"
        case "unknown_key":
            key = context["key"]
            return f"unknown key {shortened(key)}; {hint(key, context['valid'].split(', '))}"
        case "string_too_long":
            reason = f"is a name of {len(given)} letters; use at most {context['max_length']}"
        case "union_tag_invalid" if context["tag"]:
            valid = re.findall("'([^']+)'", context["expected_tags"])
            kind = "objective" if "objective" in context["discriminator"] else "kind"
            return f"no {kind} named {shortened(context['tag'])}; {hint(context['tag'], valid)}"
        case "literal_error":
            return _not_among(given, re.findall("'([^']+)'", context["expected"])) + shown
        case kind if kind in _BOUNDS:
            (bound,) = context.values()
            written = f"{bound:,}" if isinstance(bound, int) else f"{bound:g}"
            reason = f"{_BOUNDS[kind]} {written}"
        case "too_short":
            least = context["min_length"]
            reason = "must not be empty" if least == 1 else f"needs at least {least} entries"
        case kind:
            reason = _REASONS.get(kind, str(item["msg"]).removeprefix("Value error, "))
    return reason + shown


def _not_among(given: Any, valid: Sequence[str]) -> str:
    guess = hint(str(given), valid)
    if guess.startswith("did"):
        return f"is not valid; {guess}"
    return f"must be {' or '.join(valid)}"


def _must_be_text(given: Any) -> str:
    if isinstance(given, bool):
        return "must be text; YAML reads yes, no, on, off, true and false as text only in quotes"
    if given is None:
        return "must be text; YAML reads null and ~ as text only in quotes"
    return "must be text; put it in quotes" if isinstance(given, int | float | date) else _TEXT


def unknown(name: str, known: Iterable[str], path: str, kind: str) -> Iterator[tuple[str, str]]:
    """(key path, message) for a name that is not among the known ones."""
    if name not in known:
        yield path, f"no {kind} named {shortened(name)}; {hint(name, known)}"
