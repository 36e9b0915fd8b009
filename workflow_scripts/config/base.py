"""Base class and types shared by the sections of a study file.

This package is schema only: fields, and validators that refuse values. Jobs run none of its code,
so an edit here reruns a job only if it changes the job's slice
(`tests/unit/runtime/test_code_files.py`). The whole file is the class `Experiment`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any, Literal, Self, Union, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic_core import PydanticCustomError

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._~=+-]*$")]
# a name; a transferred result also has `@<source task>` and perhaps `@<k>-shot`
ResultName = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._~=+-]*(@[A-Za-z0-9._~=+-]+(@[0-9]+-shot)?)?$"
    ),
]
Shots = tuple[Annotated[int, Field(ge=0)], ...]
Site = Literal["block", "attention", "ffn"]
Position = Literal["query", "prompt", "answer"]


def _is_number(annotation: Any) -> bool:
    """Whether a field takes numbers but no booleans."""
    parts = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else [annotation]
    kinds = [get_args(part)[0] if get_origin(part) is Annotated else part for part in parts]
    return bool not in kinds and (int in kinds or float in kinds)


class Strict(BaseModel):
    """Refuses unknown keys, naming the nearest valid one, and booleans for numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def refuse_unknown_keys(cls, data: Any) -> Any:
        if isinstance(data, Mapping):
            for key, value in data.items():
                if key not in cls.model_fields:
                    near = difflib.get_close_matches(str(key), cls.model_fields, n=1, cutoff=0.4)
                    valid = near[0] if near else ", ".join(cls.model_fields)
                    raise PydanticCustomError(
                        "unknown_key",
                        "unknown key '{key}'; valid here: {valid}",
                        {"key": str(key), "valid": valid},
                    )
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
            raise ValueError(f"unknown kind of source '{kind[0]}'; write {valid} or a path")
        return _usable_path(value)

    return AfterValidator(check)


def _usable_path(value: str) -> str:
    """Refuses what only a shell would expand; `~/` is expanded where a source is read."""
    if not value.strip():
        raise ValueError("must be a path, but is empty")
    if found := re.match(r"~[^/]|.*([${}])", value):
        raise ValueError(f"'{found[1] or '~'}' is not expanded in a path; write the path out")
    return value


def _path_of_results(value: str) -> str:
    """Refuses a home folder: results are shared."""
    if value.startswith("~"):
        raise ValueError(
            "`~` is not expanded here; write a path relative to the working directory (`../out`) "
            "or an absolute one"
        )
    return _usable_path(value)


ResultsPath = Annotated[str, AfterValidator(_path_of_results)]
