"""Functions of the plan as Snakemake calls them: with the wildcards of a job."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from pydantic import BaseModel

from workflow_scripts.runtime.cli import packed

_Given = TypeVar("_Given")


def of_wildcards(
    function: Callable[..., _Given], given: Callable[[_Given], Any] | None = None
) -> Callable[..., Any]:
    """`function` as a function of wildcards: each parameter takes the wildcard of its name.

    A parameter annotated `int` gets the number in it (1 from `-draw-1`, 0 from nothing); one
    without a wildcard keeps its default. Keyword-only parameters are passed by name.

    given: applied to the result; `as_json` for a rule's `params`.

    What does not depend on the seed is computed once: thousands of jobs ask for it.
    """
    names = {
        name: number_in if parameter.annotation in (int, "int") else str
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is not parameter.KEYWORD_ONLY
    }

    def computed(chosen: tuple[tuple[str, Any], ...], **passed_on: Any) -> Any:
        result = function(**dict(chosen), **passed_on)
        return result if given is None else given(result)

    computed_once = computed if "seed" in names else cache(computed)

    def asked(wildcards: Any, **passed_on: Any) -> Any:
        chosen = tuple(
            (name, kind(getattr(wildcards, name)))
            for name, kind in names.items()
            if hasattr(wildcards, name)
        )
        return computed_once(chosen, **passed_on)

    # Snakemake reads the signature to see what else a function wants (input, attempt)
    asked.__signature__ = inspect.signature(lambda wildcards: None)  # type: ignore[attr-defined]
    return asked


def number_in(text: str) -> int:
    """The number at the end of a wildcard; an optional one that is empty counts as 0."""
    return int(text.rpartition("-")[2] or 0)


class OfWildcards:
    """An object whose methods become functions of wildcards, by `of_wildcards`."""

    def __init__(self, target: object, given: Callable[[Any], Any] | None = None) -> None:
        self._target = target
        self._given = given

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if not inspect.ismethod(found):
            return found
        asked = of_wildcards(found, self._given)
        setattr(self, name, asked)
        return asked


def as_json(settings: Any) -> Any:
    """Settings as the JSON that a job reads; short text and tuples stay as they are."""
    if isinstance(settings, BaseModel):
        return packed(settings.model_dump_json())
    if isinstance(settings, dict | list):
        return packed(json.dumps(settings, default=lambda model: model.model_dump(mode="json")))
    return packed(settings) if isinstance(settings, str) else settings
