"""What an experiment compares that declares no families."""

from __future__ import annotations

from collections.abc import Sequence

from workflow_scripts.names import is_main, is_transferred, source_of
from workflow_scripts.settings import FamilySettings, SweepSettings
from workflow_scripts.sweeps import variants_of


def default_families(
    results: Sequence[str], sweeps: Sequence[SweepSettings], baseline: str
) -> dict[str, FamilySettings]:
    """`main`, then one family for each sweep of conditions and for each task that is transferred.

    results: of the whole experiment: base results by shots, then conditions, then transfers.
    baseline: the condition that variants of a sweep are held against, where it is there.
    """
    main = sorted(filter(is_main, results), key=_shots_first)
    families = {
        "main": (
            "Which supervision trains in what the demonstrations give?",
            main,
            "pairs",
        )
    }
    for sweep in sweeps:
        variants = [name for name in variants_of(sweep) if name in results]
        if sweep.condition is not None and variants:
            reference = [baseline] if baseline in results and baseline != sweep.condition else []
            families[f"{sweep.condition}~{sweep.field}"] = (
                f"What does the {sweep.field} of {sweep.condition} change?",
                [*reference, sweep.condition, *variants],
                "first",
            )
    transferred = [name for name in results if is_transferred(name)]
    for source in dict.fromkeys(map(source_of, transferred)):
        families[f"from-{source}"] = (
            f"What does training on {source} change on another task?",
            [results[0], *(name for name in transferred if source_of(name) == source)],
            "first",
        )
    return {
        name: FamilySettings.model_validate(
            {"question": question, "members": tuple(members), "design": design}
        )
        for name, (question, members, design) in families.items()
        if len(members) > 1
    }


def _shots_first(name: str) -> tuple[bool, int]:
    """Base results by shots before all conditions, which keep their order."""
    shots = name.removesuffix("-shot")
    return (False, int(shots)) if name != shots and shots.isdigit() else (True, 0)
