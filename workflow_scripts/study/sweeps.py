"""Sweeps: conditions and tasks that differ from a base in one field, written into the config.

This happens before validation, so a variant is checked, trained and reported like a condition that
was written by hand.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, MutableMapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from workflow_scripts.config.sweeps import SweepSettings
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.training.fields import nearest, varied

_SWEEPS: TypeAdapter[tuple[SweepSettings, ...]] = TypeAdapter(tuple[SweepSettings, ...])


def expand_sweeps(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config with the variants of its sweeps added to `conditions` and `tasks`.

    Checks nothing else: validation refuses a malformed config, which is returned unchanged.
    Expanding twice changes nothing.

    Raises InputError when a sweep names a condition, task or field that does not exist.
    """
    expanded = copy.deepcopy(dict(config))
    try:
        sweeps = _SWEEPS.validate_python(expanded.get("sweeps") or ())
    except ValidationError:
        return expanded
    for index, sweep in enumerate(sweeps):
        section, base = _base_of(sweep)
        members = expanded.get(section)
        if not isinstance(members, MutableMapping):
            return expanded
        if base not in members:
            raise InputError(f"sweeps.{index}: {nearest(section[:-1], base, members)}")
        for name, value in _named_values(sweep).items():
            try:
                changed = varied(section, members[base], sweep.field, value, _adapter(expanded))
            except KeyError as error:
                raise InputError(f"sweeps.{index}.field: {error.args[0]}") from None
            if changed != members[base]:
                members.setdefault(f"{base}~{name}", changed)
    return expanded


def variants_of(sweep: SweepSettings) -> list[str]:
    """Names of the sweep's variants, without the base."""
    _, base = _base_of(sweep)
    return [f"{base}~{name}" for name in _named_values(sweep)]


def _base_of(sweep: SweepSettings) -> tuple[str, str]:
    if sweep.condition is not None:
        return "conditions", sweep.condition
    assert sweep.task is not None
    return "tasks", sweep.task


def _named_values(sweep: SweepSettings) -> dict[str, Any]:
    if isinstance(sweep.values, dict):
        return sweep.values
    field = sweep.field.rpartition(".")[2] if sweep.task else sweep.field
    return {f"{field}={_written(value)}": value for value in sweep.values}


def _written(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _adapter(config: Mapping[str, Any]) -> Any:
    """The adapter of conditions that have none of their own."""
    training = config.get("training")
    given = training.get("adapter") if isinstance(training, Mapping) else None
    return given or {}
