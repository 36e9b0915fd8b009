"""Base class and types shared by the sections of a study file.

This package is schema only: fields, and validators that refuse values. Jobs run none of its code,
so an edit here reruns a job only if it changes the job's slice
(`tests/unit/runtime/test_code_files.py`). The whole file is the class `Experiment`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import UnionType
from typing import Annotated, Any, Literal, Self, TypeVar, Union, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic_core import PydanticCustomError

# of a name; names of files, which are 255 bytes at most, may hold more than one
LONGEST_NAME = 100
Name = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._~=+-]*$", max_length=LONGEST_NAME),
]
# a name; a transferred result also has `@<source task>` and perhaps `@<k>-shot`
ResultName = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._~=+-]*(@[A-Za-z0-9._~=+-]+(@[0-9]+-shot)?)?$"
    ),
]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
_Values = TypeVar("_Values", bound=Iterable[Any])


def _each_once(values: _Values) -> _Values:
    seen = set()
    for value in values:
        if (read := (value, isinstance(value, bool))) in seen:  # to Python, True is 1
            raise ValueError(f"has {value!r:.60} twice; remove one")
        seen.add(read)
    return values


# of a list whose entries differ
EachOnce = AfterValidator(_each_once)


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def _one_line(text: str) -> str:
    if _CONTROL.search(text.strip()):
        raise ValueError("must be one line of text, without tabs; remove the line break")
    return text.strip()


# text for tables, headings and figures
Line = Annotated[str, AfterValidator(_one_line)]
Shots = tuple[Annotated[int, Field(ge=0)], ...]
Site = Literal["block", "attention", "ffn"]
Position = Literal["query", "prompt", "answer"]


def _is_number(annotation: Any) -> bool:
    """Whether a field takes numbers but no booleans."""
    parts = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else [annotation]
    kinds = [get_args(part)[0] if get_origin(part) is Annotated else part for part in parts]
    return bool not in kinds and (int in kinds or float in kinds)


# 64 bits hold what is less
_TOO_LARGE = 2**63


class Strict(BaseModel):
    """Refuses unknown keys, booleans for numbers, and numbers of more than 64 bits."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def refuse_unknown_keys(cls, data: Any) -> Any:
        if isinstance(data, Mapping):
            for key, value in data.items():
                if key not in cls.model_fields:
                    raise PydanticCustomError(
                        "unknown_key",
                        "unknown key '{key}'; valid here: {valid}",
                        {"key": str(key), "valid": ", ".join(cls.model_fields)},
                    )
                if isinstance(value, int) and abs(value) >= _TOO_LARGE:
                    raise ValueError(f"`{key}` is out of range; write a number of under 19 digits")
                # to pydantic, True is 1
                if isinstance(value, bool) and _is_number(cls.model_fields[key].annotation):
                    raise ValueError(
                        f"`{key}` must be a number, but YAML reads it as {str(value).lower()}"
                    )
        return data


class HubSource(Strict):
    """A section whose `source` may be on the hub and then needs a `revision`."""

    @model_validator(mode="after")
    def hub_is_pinned(self) -> Self:
        settings = dict(self)
        if settings["source"].startswith("hub:") and not settings["revision"]:
            raise ValueError("a hub source needs `revision`, the commit to use")
        return self


def literal_escape(text: str) -> str:
    """A line break or tab spelled as a backslash and a letter; empty if there is none.

    TeX commands do not count: a lower-case letter follows, as in `\\nu`.
    """
    found = re.search(r"\\[nrt](?![a-z])", text)
    return found[0] if found else ""


# prefix of a source that is not a path: `hub:`
SOURCE_KIND = re.compile(r"[A-Za-z][A-Za-z0-9_+.-]*:")


def path_or(*kinds: str) -> AfterValidator:
    """Refuses text that is neither a source of one of these kinds nor a usable path."""

    def check(value: str) -> str:
        kind = SOURCE_KIND.match(value)
        if kind and kind[0] not in kinds:
            valid = ", ".join(f"{name}…" for name in kinds)
            raise ValueError(f"unknown kind of source '{kind[0]:.60}'; write {valid} or a path")
        return _usable_path(value)

    return AfterValidator(check)


# bytes of a file's name, and of a path with what is added to it
_LONGEST_PART, _LONGEST_PATH = 255, 1000


def _usable_path(value: str) -> str:
    """Refuses what only a shell would expand, and what no file system or no rule can take.

    `~/` is expanded where a source is read.
    """
    if not value.strip():
        raise ValueError("must be a path, but is empty")
    if _CONTROL.search(value):
        raise ValueError("has a line break or another control character; rename the file")
    if found := re.match(r"~[^/]|.*?([${}])", value):
        raise ValueError(f"'{found[1] or '~'}' is not expanded in a path; write the path out")
    longest = max(len(part.encode()) for part in value.split("/"))
    if longest > _LONGEST_PART or len(value.encode()) > _LONGEST_PATH:
        raise ValueError(
            f"is too long: at most {_LONGEST_PART} bytes between slashes and {_LONGEST_PATH:,} in "
            "all; move or rename the file"
        )
    return value


FilePath = Annotated[str, AfterValidator(_usable_path)]


def _path_of_results(value: str) -> str:
    """Refuses a home folder, as results are shared, and what programs would take for an option."""
    if value.startswith("~"):
        raise ValueError(
            "`~` is not expanded here; write a path relative to the working directory (`../out`) "
            "or an absolute one"
        )
    if value.startswith("-"):
        raise ValueError("begins with `-`, like an option of a program; rename the folder")
    return _usable_path(value)


ResultsPath = Annotated[str, AfterValidator(_path_of_results)]
