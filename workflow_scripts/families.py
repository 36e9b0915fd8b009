"""Which results are compared: the pairs of a design, and the families of an experiment that names
none.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise

from workflow_scripts.config.comparisons import Design, FamilySettings
from workflow_scripts.config.sweeps import SweepSettings
from workflow_scripts.names import is_main, is_transferred, shots_after, source_of
from workflow_scripts.sweeps import variants_of


def pairs_of(members: Sequence[str], design: Design) -> tuple[tuple[str, str], ...]:
    """(first, second) of each comparison among the members; the verdict is about the first."""
    start, *others = members
    if design == "first":
        return tuple((member, start) for member in others)
    if design == "pairs":
        return tuple((later, earlier) for earlier, later in combinations(members, 2))
    steps = [(later, earlier) for earlier, later in pairwise(members)]
    whole = [(others[-1], start)] if len(others) > 1 else []
    return (*steps, *whole)


def default_families(
    results: Sequence[str], sweeps: Sequence[SweepSettings], baseline: str
) -> dict[str, FamilySettings]:
    """`main`, then one family for each sweep of conditions and for each task that is transferred.

    Transferred results after demonstrations are a family for each number of them, held against
    the untouched model after as many.

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
    transferred: dict[tuple[str, int], list[str]] = {}
    for name in filter(is_transferred, results):
        transferred.setdefault((source_of(name), shots_after(name)), []).append(name)
    for (source, shots), own in transferred.items():
        after = f" after {shots} demonstrations" if shots else ""
        families[f"from-{source}-{shots}-shot" if shots else f"from-{source}"] = (
            f"What does training on {source} change on another task{after}?",
            [f"{shots}-shot", *own],
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
