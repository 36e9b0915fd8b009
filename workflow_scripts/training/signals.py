"""The teacher signals that a run reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from workflow_scripts.errors import InputError
from workflow_scripts.settings import RunSlice
from workflow_scripts.teachers.store import SignalStore


def open_signals(
    settings: RunSlice, model: Path, manifests: Sequence[Path]
) -> dict[str, SignalStore]:
    """Signal name → store, for every signal that a term of the condition reads.

    model: the student's manifest; a teacher must be the same model, asked in the same way.
    Raises InputError when a signal is missing or damaged, or was made for another run.
    """
    stores = {store.signal.name: store for store in map(SignalStore.open, manifests)}
    for term in settings.terms:
        if term.signal is None:
            continue
        if term.signal.name not in stores:
            raise InputError(
                f"term {term.name} reads {term.signal.name}, which is not among --signals"
            )
        stores[term.signal.name].refuse_other(term.signal, settings.prompt, model)
    return stores
