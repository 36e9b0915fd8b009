"""The base class and the types that the sections of a study file share.

This package is schema only: fields, and validators that refuse values. No job runs code of it that
shapes a result, so an edit here reruns nothing but what a changed slice does
(`tests/unit/test_sources.py`). The file as a whole is the class `Experiment`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

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
# a name; of a transferred result its source task behind an @, and its demonstrations behind another
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
    """Whether a field is a number and no truth value."""
    parts = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else [annotation]
    kinds = [get_args(part)[0] if get_origin(part) is Annotated else part for part in parts]
    return bool not in kinds and (int in kinds or float in kinds)


class Strict(BaseModel):
    """Refuses unknown keys, naming the nearest valid one, and truth values for numbers."""

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
                    raise ValueError(f"`{key}` must be a number, but is the truth value {value}")
        return data


def literal_escape(text: str) -> str:
    """A line break or tab that is spelled as a backslash and a letter; empty where there is none.

    Commands of TeX are none: a lower-case letter follows, as in `\\nu`.
    """
    found = re.search(r"\\[nrt](?![a-z])", text)
    return found[0] if found else ""


# how a source begins that is not a path: `hub:`
SOURCE_KIND = re.compile(r"[A-Za-z][A-Za-z0-9_+.-]*:")


def path_or(*kinds: str) -> AfterValidator:
    """Refuses text that neither begins with one of these kinds nor is a usable path."""

    def check(value: str) -> str:
        kind = SOURCE_KIND.match(value)
        if kind and kind[0] not in kinds:
            valid = ", ".join(f"{name}…" for name in kinds)
            raise ValueError(f"there is no source of the kind '{kind[0]}'; valid: {valid}, a path")
        return _usable_path(value)

    return AfterValidator(check)


def _usable_path(value: str) -> str:
    """Refuses what a shell would replace; `~/` is the home folder of a source."""
    if not value.strip():
        raise ValueError("must be a path, but is empty")
    if found := re.match(r"~[^/]|.*([${}])", value):
        raise ValueError(f"'{found[1] or '~'}' is not replaced in a path; write what it stands for")
    return value


def _path_of_results(value: str) -> str:
    """The home folder is no part of results, which are shared."""
    if value.startswith("~"):
        raise ValueError(
            "`~` is not replaced here; write the path from the working directory (`../out`) or "
            "from the root"
        )
    return _usable_path(value)


ResultsPath = Annotated[str, AfterValidator(_path_of_results)]
