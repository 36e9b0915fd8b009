"""The interface of an engine, whatever runs the model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

from workflow_scripts.config.tasks import GenerationSettings
from workflow_scripts.prompts.rendering import Rendering

Answer = TypeVar("Answer")


class Engine(Protocol):
    """A base model and any number of its checkpoints, given when the engine was opened.

    checkpoints: for each prompt or rendering, the name of the checkpoint that reads it; None is
    the base model. Answers come in any order, each with the index of its prompt or rendering.
    Read one call's answers to the end before the next call.
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
    """All answers, in the order of the questions."""
    by_index = dict(answers)
    return [by_index[index] for index in range(len(by_index))]
