"""What evaluation asks of an engine, whatever runs the model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

from workflow_scripts.config.tasks import GenerationSettings
from workflow_scripts.prompts.rendering import Rendering

Answer = TypeVar("Answer")


class Engine(Protocol):
    """One model, base and at any number of checkpoints, which it was opened with.

    checkpoints: for each prompt or rendering, the name of the checkpoint that reads it; None is
    the base model. An engine is free in the order of its work: each answer comes when it is
    there, with the index of what it answers. One question at a time, read to its end.
    """

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        generation: GenerationSettings,
        checkpoints: Sequence[str | None],
    ) -> Iterator[tuple[int, str]]:
        """Greedy completions, raw, up to the end token or the first stop text."""

    def token_losses(
        self, renderings: Sequence[Rendering], checkpoints: Sequence[str | None]
    ) -> Iterator[tuple[int, list[float]]]:
        """Nats of each answer token, teacher-forced, the end token last."""


def in_order(answers: Iterable[tuple[int, Answer]]) -> list[Answer]:
    """All answers, in the order of what they answer."""
    by_index = dict(answers)
    return [by_index[index] for index in range(len(by_index))]
