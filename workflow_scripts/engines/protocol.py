"""What evaluation asks of an engine, whatever runs the model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from workflow_scripts.rendering import Rendering
from workflow_scripts.settings import GenerationSettings


class Engine(Protocol):
    """One model, plain and with any number of adapters.

    adapter: the name given to `add_adapter`; None is the untouched model, whatever was added.
    Results are in the order of the input.
    """

    def add_adapter(self, name: str, folder: Path) -> None:
        """Raises InputError when the folder does not hold an adapter of this model."""

    def generate(
        self, prompts: Sequence[Sequence[int]], generation: GenerationSettings, adapter: str | None
    ) -> list[str]:
        """Greedy completions, raw, up to the end token or the first stop text."""

    def answer_loss(self, renderings: Sequence[Rendering], adapter: str | None) -> list[float]:
        """Mean nats per answer token, the end token included."""
