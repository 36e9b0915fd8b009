"""The interface of an engine, whatever runs the model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

from workflow_scripts.config.tasks import GenerationSettings
from workflow_scripts.prompts.rendering import Rendering

Answer = TypeVar("Answer")


class Completion(NamedTuple):
    """What a model generated, raw, up to the end token or the first stop text.

    finished: False if it was cut by `max_new_tokens`, so that neither came.
    """

    text: str
    finished: bool


class Completed(NamedTuple):
    """What a model generated, and what it thinks of given answers to the same prompt.

    losses: for each answer the nats of its tokens, as `Engine.token_losses`.
    """

    completion: Completion
    losses: list[list[float]]


@dataclass(frozen=True)
class Sampling:
    """Sampling from softmax(logits / temperature).

    temperature: above 0.
    seeds: one for each prompt; equal prompts with equal seeds get equal completions.
    """

    temperature: float
    seeds: tuple[int, ...]

    def of(self, indices: Sequence[int]) -> Sampling:
        """For the prompts at these indices."""
        return Sampling(self.temperature, tuple(self.seeds[index] for index in indices))


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
        sampling: Sampling | None = None,
    ) -> Iterator[tuple[int, Completion]]:
        """Completions; greedy ones without `sampling`.

        Neither the batch nor a resumed job changes what is sampled, as with greedy decoding:
        exactly in exact arithmetic, up to near ties of two tokens in floating point.
        """

    def token_losses(
        self, renderings: Sequence[Rendering], checkpoints: Sequence[str | None]
    ) -> Iterator[tuple[int, list[float]]]:
        """Nats of each answer token, teacher-forced, the end token last."""


@runtime_checkable
class Completer(Engine, Protocol):
    """An engine that can generate and score while it reads each prompt once.

    reads_prompts_once: whether it can with this model; where not, `complete` must not be called.
    """

    @property
    def reads_prompts_once(self) -> bool: ...

    def complete(
        self,
        questions: Sequence[Sequence[Rendering]],
        generation: GenerationSettings,
        checkpoints: Sequence[str | None],
    ) -> Iterator[tuple[int, Completed]]:
        """What `generate` and `token_losses` find, up to rounding; greedy.

        questions: each is one prompt with its answers, the same number in all.
        """


def in_order(answers: Iterable[tuple[int, Answer]]) -> list[Answer]:
    """All answers, in the order of the questions."""
    by_index = dict(answers)
    return [by_index[index] for index in range(len(by_index))]
