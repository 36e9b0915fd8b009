"""Names of results: `<base>~<variant>` of a sweep, `<condition>@<task>` of a transfer.

The variant of a condition that validation items chose is `<condition>~tuned`. A transferred result
after k demonstrations is `<condition>@<task>@<k>-shot`.
"""

from __future__ import annotations

from collections.abc import Collection

# the base model without demonstrations
BASE = "0-shot"

# source of a model that does not run here: its results were made elsewhere
ELSEWHERE = "elsewhere"

_VARIED = "~"
_TRANSFERRED = "@"
_TUNED = f"{_VARIED}tuned"


def transferred(condition: str, source: str, shots: int) -> str:
    """Name of a run on another task, evaluated after `shots` demonstrations."""
    name = f"{condition}{_TRANSFERRED}{source}"
    return f"{name}{_TRANSFERRED}{shots}-shot" if shots else name


def tuned(condition: str) -> str:
    """Name of the variant of a condition that validation items chose."""
    return f"{condition}{_TUNED}"


def tuned_condition(result: str) -> str:
    """The condition that a tuned result is of; empty for others."""
    return result.removesuffix(_TUNED) if result.endswith(_TUNED) else ""


def baselines_among(members: Collection[str], baseline: str) -> list[str]:
    """The members that others are compared with: the baseline, and the baseline tuned."""
    return [name for name in (baseline, tuned(baseline)) if name in members]


def is_transferred(condition: str) -> bool:
    """Whether a result is of a run on another task: `<condition>@<source task>`."""
    return _TRANSFERRED in condition


def is_main(condition: str) -> bool:
    """Whether a condition is neither transferred nor one of a sweep."""
    return recipe_of(condition) == condition


def is_main_or_tuned(condition: str) -> bool:
    """Whether tables of the report show a result at once, not folded among the variants."""
    return is_main(tuned_condition(condition) or condition)


def recipe_of(condition: str) -> str:
    """The condition that a variant of a sweep (`<base>~<variant>`) or a transferred result is of.

    A condition that is neither is its own.
    """
    return condition.partition(_TRANSFERRED)[0].partition(_VARIED)[0]


def without_source(condition: str) -> str:
    """The condition of a transferred result; others as they are."""
    return condition.partition(_TRANSFERRED)[0]


def swept_field(condition: str) -> str:
    """The field in `<base>~<field>=<value>`; empty for others."""
    field, _, value = without_source(condition).partition(_VARIED)[2].rpartition("=")
    return field if value else ""


def source_of(condition: str) -> str:
    """The task that a transferred result was trained on; empty for others."""
    return condition.partition(_TRANSFERRED)[2].partition(_TRANSFERRED)[0]


def shots_after(condition: str) -> int:
    """The demonstrations that a transferred result was shown; 0 for others."""
    return int(condition.partition(_TRANSFERRED)[2].partition(_TRANSFERRED)[2][:-5] or 0)
