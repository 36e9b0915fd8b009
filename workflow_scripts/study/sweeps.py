"""Sweeps: conditions and tasks that differ from a base in one field, written into the config.

This happens before validation, so a variant is checked, trained and reported like a condition that
was written by hand.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Mapping, MutableMapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from workflow_scripts.config.base import LONGEST_NAME, Name, Strict
from workflow_scripts.config.conditions import ConditionSettings
from workflow_scripts.config.sweeps import SweepSettings
from workflow_scripts.config.tasks import TaskSettings
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.numbers import exact
from workflow_scripts.runtime.wording import shortened
from workflow_scripts.training.fields import nearest, same, varied

_SWEEPS: TypeAdapter[tuple[SweepSettings, ...]] = TypeAdapter(tuple[SweepSettings, ...])
_NAME: TypeAdapter[str] = TypeAdapter(Name)
_CLASSES: dict[str, type[Strict]] = {"conditions": ConditionSettings, "tasks": TaskSettings}


def expand_sweeps(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config with the variants of its sweeps added to `conditions` and `tasks`.

    Checks nothing else: validation refuses a malformed config, which is returned unchanged.
    Expanding twice changes nothing.

    Raises InputError when a sweep names a condition, task or field that does not exist, or when two
    variants would have one name.
    """
    expanded = copy.deepcopy(dict(config))
    try:
        sweeps = _SWEEPS.validate_python(expanded.get("sweeps") or ())
    except ValidationError:
        return expanded
    for index, several in enumerate(sweeps):
        _refuse_equal(index, several)
        for number, sweep in enumerate(single_sweeps(several)):
            of_several = f"sweeps.{index}.conditions.{number}"
            section, base = _base_of(sweep)
            members = expanded.get(section)
            if not isinstance(members, MutableMapping):
                return expanded
            if base not in members:
                path = of_several if several.conditions else f"sweeps.{index}"
                raise InputError(f"{path}: {nearest(section[:-1], base, members)}")
            path = of_several if several.conditions else f"sweeps.{index}.field"
            _write_out(index, sweep, expanded, path)
    return expanded


def single_sweeps(sweep: SweepSettings) -> tuple[SweepSettings, ...]:
    """One for each of its conditions; a sweep of one condition or of a task is its own."""
    if sweep.conditions is None:
        return (sweep,)
    return tuple(
        sweep.model_copy(update={"condition": name, "conditions": None})
        for name in sweep.conditions
    )


def candidates_of(
    sweeps: Iterable[SweepSettings], conditions: Collection[str]
) -> dict[str, tuple[str, ...]]:
    """Condition that sweeps choose a variant of → itself, then its variants in all of them.

    conditions: those of the expanded config; a value of the condition itself makes none.
    """
    found: dict[str, dict[str, None]] = {}
    chosen_from = (sweep for sweep in sweeps if sweep.choose)
    for sweep in (single for several in chosen_from for single in single_sweeps(several)):
        _, base = _base_of(sweep)
        variants = [name for name in variants_of(sweep) if name in conditions]
        found.setdefault(base, {base: None}).update(dict.fromkeys(variants))
    return {base: tuple(names) for base, names in found.items()}


def _write_out(index: int, sweep: SweepSettings, expanded: dict[str, Any], path: str) -> None:
    """Add the variants of one condition or task. path: key path of what lacks the field."""
    section, base = _base_of(sweep)
    members = expanded[section]
    for name, value in zip(variants_of(sweep), _values(sweep), strict=True):
        _refuse_as_name(index, name, value)
        try:
            changed = varied(section, members[base], sweep.field, value, _adapter(expanded))
        except KeyError as error:
            raise InputError(f"{path}: {error.args[0]}") from None
        if changed == members[base] or _is_inherited(expanded, members[base], sweep, value):
            continue
        if _differ(section, members.setdefault(name, changed), changed):
            raise InputError(
                f"sweeps.{index}.values: would make '{name}', but another {section[:-1]} has "
                "this name; give the values other names (`name: value`)"
            )


def _is_inherited(config: Mapping[str, Any], base: Any, sweep: SweepSettings, value: Any) -> bool:
    """Whether the value is the learning rate that a condition has from `training`."""
    training = config.get("training")
    return (
        sweep.condition is not None
        and sweep.field == "learning_rate"
        and isinstance(training, Mapping)
        and base.get("learning_rate") is None
        and same(training.get("learning_rate"), value)
    )


def variants_of(sweep: SweepSettings) -> list[str]:
    """Names of the sweep's variants, without the base."""
    _, base = _base_of(sweep)
    if isinstance(sweep.values, dict):
        return [f"{base}~{name}" for name in sweep.values]
    field = sweep.field.rpartition(".")[2] if sweep.task else sweep.field
    return [f"{base}~{field}={written(value)}" for value in sweep.values]


def _values(sweep: SweepSettings) -> tuple[Any, ...]:
    """The value of each variant."""
    return tuple(sweep.values.values()) if isinstance(sweep.values, dict) else sweep.values


def _refuse_equal(index: int, sweep: SweepSettings) -> None:
    """Refuses values of a list that are equal, or that are written alike: 1 and "1"."""
    seen: list[tuple[str, Any]] = []
    for value in () if isinstance(sweep.values, dict) else sweep.values:
        for text, other in seen:
            if text == written(value) or same(other, value):
                raise InputError(
                    f"sweeps.{index}.values: {shortened(other)} and {shortened(value)} are one "
                    "value; remove one, or give both names (`name: value`)"
                )
        seen.append((written(value), value))


def _refuse_as_name(index: int, name: str, value: Any) -> None:
    try:
        _NAME.validate_python(name)
    except ValidationError:
        raise InputError(
            f"sweeps.{index}.values: {shortened(value)} gives no name of at most {LONGEST_NAME} "
            "letters, digits and ._~=+-; give the value a name (`name: value`)"
        ) from None


def _differ(section: str, one: Any, other: Any) -> bool:
    """Whether two conditions or tasks have other settings; no if one is not valid."""
    if one == other:
        return False
    try:
        read = [_CLASSES[section].model_validate(given) for given in (one, other)]
    except ValidationError:
        return False
    return read[0].model_copy(update={"label": None}) != read[1].model_copy(update={"label": None})


def _base_of(sweep: SweepSettings) -> tuple[str, str]:
    if sweep.condition is not None:
        return "conditions", sweep.condition
    assert sweep.task is not None
    return "tasks", sweep.task


def written(value: Any) -> str:
    """A value as it stands in the name of a variant."""
    return exact(value) if isinstance(value, float) else str(value)


def _adapter(config: Mapping[str, Any]) -> Any:
    """The adapter of conditions that have none of their own."""
    training = config.get("training")
    given = training.get("adapter") if isinstance(training, Mapping) else None
    return given or {}
