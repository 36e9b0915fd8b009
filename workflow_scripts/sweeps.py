"""Sweeps: conditions and tasks that differ from a given one in one field, written out.

They are written out in the config before it is checked, so that each of them is checked, trained
and reported like one that was written by hand.
"""

from __future__ import annotations

import copy
import difflib
import re
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError

from workflow_scripts.config.base import Strict
from workflow_scripts.config.conditions import ConditionSettings
from workflow_scripts.config.sweeps import SweepSettings
from workflow_scripts.config.terms import GoldTerm, Term
from workflow_scripts.config.training import Adapter
from workflow_scripts.runtime.errors import InputError

_SWEEPS: TypeAdapter[tuple[SweepSettings, ...]] = TypeAdapter(tuple[SweepSettings, ...])


def expand_sweeps(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config with what its sweeps stand for added to `conditions` and `tasks`.

    Nothing else is checked here: a malformed config is returned as it is, for validation to
    refuse. A config that is written out already stays as it is.

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
            raise InputError(f"sweeps.{index}: {_nearest(section[:-1], base, members)}")
        for name, value in _named_values(sweep).items():
            try:
                varied = _varied(section, members[base], sweep.field, value, _adapter(expanded))
            except KeyError as error:
                raise InputError(f"sweeps.{index}.field: {error.args[0]}") from None
            if varied != members[base]:
                members.setdefault(f"{base}~{name}", varied)
    return expanded


def variants_of(sweep: SweepSettings) -> list[str]:
    """Names of what the sweep stands for, without the base."""
    _, base = _base_of(sweep)
    return [f"{base}~{name}" for name in _named_values(sweep)]


def field_of_condition(condition: Mapping[str, Any], field: str) -> Any:
    """What a condition, written out, has where a sweep of `field` would write; None if nothing.

    Raises KeyError, with what is wrong, for a field that cannot be there.
    """
    *parents, last = field.split(".")
    return _place_in_condition(dict(condition), parents, last, field).get(last)


def with_fields(
    condition: ConditionSettings, values: Mapping[str, Any], adapter: Adapter
) -> ConditionSettings:
    """The condition with other values of fields, which are named as in a sweep.

    adapter: what a condition without one has.
    Raises KeyError, with what is wrong, for a field that cannot be there, and ValidationError for
    a value that does not fit.
    """
    written = condition.model_dump(mode="json")
    for field, value in values.items():
        written = _varied("conditions", written, field, value, adapter.model_dump(mode="json"))
    return ConditionSettings.model_validate(written)


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


def _varied(section: str, base: Any, field: str, value: Any, adapter: Any) -> Any:
    """A copy of the base with one field changed; its label is left to the base.

    adapter: what a condition without one has.
    Raises KeyError, with what is wrong, for a field that cannot be there.
    """
    varied = copy.deepcopy(base)
    if not isinstance(varied, MutableMapping):
        return varied
    *parents, last = field.split(".")
    if section == "conditions":
        if parents == ["adapter"] and varied.get("adapter") is None:
            varied["adapter"] = copy.deepcopy(adapter)
        place = _place_in_condition(varied, parents, last, field)
    else:
        place = _place(varied, parents)
    if not _same(place.get(last), value):
        varied.pop("label", None)
        place[last] = value
    return varied


def _same(one: Any, other: Any) -> bool:
    """Whether two values are equal, also where one is a number as YAML 1.1 reads `1e-4`: text."""
    return bool(one == other) or (_number(one) is not None and _number(one) == _number(other))


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        return float(value) if re.fullmatch(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+", value) else None
    return float(value) if isinstance(value, int | float) else None


def _place(base: MutableMapping[str, Any], parents: Sequence[str]) -> MutableMapping[str, Any]:
    place = base
    for key in parents:
        place = place.setdefault(key, {})
        if not isinstance(place, MutableMapping):
            raise KeyError(f"'{key}' has no fields")
    return place


def _place_in_condition(
    condition: MutableMapping[str, Any], parents: Sequence[str], last: str, field: str
) -> MutableMapping[str, Any]:
    if not parents and last in ConditionSettings.model_fields:
        return condition
    if parents == ["adapter"]:
        return _place(condition, parents)
    given = condition.get("terms")
    written = given if isinstance(given, Sequence) else ()
    terms = [term for term in written if isinstance(term, MutableMapping)]
    fields = _fields_of_terms()
    if len(parents) == 1:
        chosen = [term for term in terms if term.get("objective") == parents[0]]
    else:
        # a field without a term is not of those on the correct answer
        gold = [name for name, cls in _classes_of_terms().items() if issubclass(cls, GoldTerm)]
        chosen = [term for term in terms if term.get("objective") not in gold]
    chosen = [term for term in chosen if last in fields.get(str(term.get("objective")), ())]
    if len(chosen) > 1:
        names = ", ".join(f"{term['objective']}.{last}" for term in chosen)
        raise KeyError(f"several terms have '{last}'; give one of {names}")
    if not chosen or len(parents) > 1:
        valid = [*ConditionSettings.model_fields]
        valid += [name for t in terms for name in fields.get(str(t.get("objective")), ())]
        raise KeyError(_nearest("field", field, valid))
    return chosen[0]


def _fields_of_terms() -> dict[str, tuple[str, ...]]:
    """Objective → fields of its settings."""
    return {name: tuple(cls.model_fields) for name, cls in _classes_of_terms().items()}


def _classes_of_terms() -> dict[str, type[Strict]]:
    """Objective → its settings."""
    terms, _ = get_args(Term)
    classes: tuple[type[Strict], ...] = get_args(terms)
    return {get_args(cls.model_fields["objective"].annotation)[0]: cls for cls in classes}


def _nearest(kind: str, name: str, known: Iterable[str]) -> str:
    known = list(dict.fromkeys(known))
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    return f"no {kind} named '{name}'; valid here: {near[0] if near else ', '.join(known)}"
