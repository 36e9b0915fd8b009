"""The source split that each split of a task is drawn from."""

from __future__ import annotations

from collections.abc import Collection

from workflow_scripts.config.data import DataSettings
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.tasks.shares import SPLITS

# the split of a source without splits
ONLY_SPLIT = "all"


def origins(source: Collection[str], data: DataSettings) -> dict[str, str]:
    """The source split of each of ours that has items.

    source: names of its splits.
    Raises InputError if it lacks one that the settings name.
    """
    return {ours: _origin(source, ours, data) for ours in SPLITS if getattr(data.items, ours)}


def unlabelled_sources(source: Collection[str], data: DataSettings) -> dict[str, bool]:
    """The source splits that unlabelled splits are drawn from → whether a labelled one is too.

    source: names of its splits. Raises InputError as `origins` does.
    """
    if not data.unlabelled:
        return {}
    origin = origins(source, data)
    return {
        name: any(origin[ours] == name for ours in origin if ours not in data.unlabelled)
        for ours, name in origin.items()
        if ours in data.unlabelled
    }


def _origin(source: Collection[str], ours: str, data: DataSettings) -> str:
    """The source split that one of ours is drawn from.

    If the source lacks a split of the default name, ours is drawn from `all` or the only split.
    """
    name: str = getattr(data.splits, ours)
    if name in source:
        return name
    if name == ours and (ONLY_SPLIT in source or len(source) == 1):
        return ONLY_SPLIT if ONLY_SPLIT in source else next(iter(source))
    raise InputError(
        f"{data.source}: has no split '{name}'; set `data.splits.{ours}` to one of: "
        f"{', '.join(source)}"
    )
