"""Fields of a condition, named as in a sweep or search: `learning_rate`, `hidden.weight`.

Of a condition with phases, `phases.0.steps` and `phases.0.hidden.weight`; without its number where
only one phase has such a term.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from typing import Any, get_args

from workflow_scripts.config.conditions import ConditionSettings, PhaseSettings
from workflow_scripts.config.terms import GoldTerm, Term
from workflow_scripts.config.training import Adapter
from workflow_scripts.runtime.wording import hint, listed, shortened

# objective → its settings
_CLASSES = {
    get_args(cls.model_fields["objective"].annotation)[0]: cls
    for cls in get_args(get_args(Term)[0])
}


def field_of_condition(condition: Mapping[str, Any], field: str) -> Any:
    """A field's value in a condition, written out; None where it is not set.

    Raises KeyError with a message for a field that the condition cannot have.
    """
    *parents, last = field.split(".")
    return _place_in_condition(dict(condition), parents, last, field).get(last)


def with_fields(
    condition: ConditionSettings, values: Mapping[str, Any], adapter: Adapter
) -> ConditionSettings:
    """The condition with some fields replaced.

    adapter: of conditions without one.
    Raises KeyError with a message for a field that the condition cannot have, and ValidationError
    for a value that does not fit.
    """
    return ConditionSettings.model_validate(written_with(condition, values, adapter))


def written_with(
    condition: ConditionSettings, values: Mapping[str, Any], adapter: Adapter
) -> dict[str, Any]:
    """The same as it is written in a config, not yet validated."""
    written = condition.model_dump(mode="json")
    for field, value in values.items():
        written = varied("conditions", written, field, value, adapter.model_dump(mode="json"))
    return written


def varied(section: str, base: Any, field: str, value: Any, adapter: Any) -> Any:
    """A copy of a condition or task with one field changed, and no label if that changes it.

    adapter: of conditions without one.
    Raises KeyError with a message for a field that the condition cannot have.
    """
    changed = copy.deepcopy(base)
    if not isinstance(changed, MutableMapping):
        return changed
    *parents, last = field.split(".")
    if section == "conditions":
        if parents == ["adapter"] and changed.get("adapter") is None:
            changed["adapter"] = copy.deepcopy(adapter)
        place = _place_in_condition(changed, parents, last, field)
    else:
        place = _place(changed, parents)
    if not same(place.get(last), value):
        changed.pop("label", None)
        place[last] = value
    return changed


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal, also where one is a number as YAML 1.1 reads `1e-4`: text."""
    return bool(one == other) or (_number(one) is not None and _number(one) == _number(other))


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        return float(value) if re.fullmatch(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+", value) else None
    return value if isinstance(value, int | float) else None


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
    recipe, known = condition, tuple(ConditionSettings.model_fields)
    phases = _mappings(condition.get("phases"))
    within = ""
    if phases and parents[:1] == ["phases"]:
        numbers = [str(number) for number in range(len(phases))]
        if len(parents) < 2 or parents[1] not in numbers:
            raise KeyError(
                nearest("field", field, [f"phases.{number}.{last}" for number in numbers])
            )
        within = f"phases.{parents[1]}."
        recipe, known = phases[int(parents[1])], tuple(PhaseSettings.model_fields)
        phases, parents = [], parents[2:]
    if not parents and last in known:
        return recipe
    if parents == ["adapter"] and recipe is condition:
        return _place(condition, parents)
    if parents[:1] == ["answers"]:
        if isinstance(recipe.get("answers"), str):
            recipe["answers"] = {"by": recipe["answers"]}
        return _place(recipe, parents)
    # name of a term's recipe, and the term
    terms = [(within, term) for term in _mappings(recipe.get("terms"))]
    for number, phase in enumerate(phases):
        terms += [(f"phases.{number}.", term) for term in _mappings(phase.get("terms"))]
    return _term(terms, known, parents, last, field)


def _mappings(written: Any) -> list[MutableMapping[str, Any]]:
    """The entries of a list that is written as one."""
    entries = written if isinstance(written, Sequence) else ()
    return [entry for entry in entries if isinstance(entry, MutableMapping)]


def _term(
    terms: Sequence[tuple[str, MutableMapping[str, Any]]],
    known: Sequence[str],
    parents: Sequence[str],
    last: str,
    field: str,
) -> MutableMapping[str, Any]:
    """The only term that has a field.

    terms: each after the name of its phase. known: other fields, for the message.
    """
    fields = {name: tuple(cls.model_fields) for name, cls in _CLASSES.items()}
    if len(parents) == 1:
        chosen = [(place, term) for place, term in terms if term.get("objective") == parents[0]]
    else:
        # without an objective, the field belongs to a distillation term
        gold = [name for name, cls in _CLASSES.items() if issubclass(cls, GoldTerm)]
        chosen = [(place, term) for place, term in terms if term.get("objective") not in gold]
    chosen = [
        (place, term)
        for place, term in chosen
        if last in fields.get(str(term.get("objective")), ())
    ]
    if len(chosen) > 1:
        names = [f"{place}{term['objective']}.{last}" for place, term in chosen]
        raise KeyError(f"several terms have '{last}'; {listed(names, 'give one of')}")
    if not chosen or len(parents) > 1:
        of_terms = [name for _, t in terms for name in fields.get(str(t.get("objective")), ())]
        raise KeyError(nearest("field", field, [*known, *of_terms]))
    return chosen[0][1]


def nearest(kind: str, name: str, known: Iterable[str]) -> str:
    """The message for an unknown name, with the nearest known one or all."""
    return f"no {kind} named {shortened(name)}; {hint(name, known)}"
