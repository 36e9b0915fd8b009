"""An engine whose answers survive a killed job."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from workflow_scripts.config.models import EngineKind
from workflow_scripts.config.tasks import GenerationSettings
from workflow_scripts.engines.journal import AnswerJournal, request_key
from workflow_scripts.engines.protocol import (
    Completed,
    Completer,
    Completion,
    Engine,
    Sampling,
    in_order,
)
from workflow_scripts.modeling.loading import LocalModel
from workflow_scripts.prompts.rendering import Rendering
from workflow_scripts.runtime.checksums import sha256_of


class JournaledEngine:
    """An `Engine` that records another engine's answers and asks it only for missing ones.

    It asks equal requests once. A resumed job keeps the answers from before it was killed and
    batches the rest differently than an uninterrupted one: in float32 their losses differ by
    rounding alone, in bfloat16 as between two batch sizes, where a completion can also diverge
    at two almost equally likely tokens.
    """

    def __init__(
        self, engine: Engine, journal: AnswerJournal, identities: Mapping[str | None, str]
    ) -> None:
        """identities: see `identities_of`."""
        self._engine = engine
        self._journal = journal
        self._identities = identities
        self._requested = 0
        self._kept = 0

    @property
    def asked_anew(self) -> float:
        """Fraction of the requests so far that no earlier start of the job had answered."""
        return 1 - self._kept / self._requested if self._requested else 0.0

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        generation: GenerationSettings,
        checkpoints: Sequence[str | None],
        sampling: Sampling | None = None,
    ) -> Iterator[tuple[int, Completion]]:
        settings = generation.model_dump(mode="json")
        draws = (
            [()] * len(prompts)
            if sampling is None
            else [(sampling.temperature, seed) for seed in sampling.seeds]
        )
        answers = self._answers(
            "generation",
            [
                request_key("generate", self._identities[name], list(ids), settings, *draw)
                for ids, name, draw in zip(prompts, checkpoints, draws, strict=True)
            ],
            lambda missing: self._engine.generate(
                [prompts[index] for index in missing],
                generation,
                [checkpoints[index] for index in missing],
                None if sampling is None else sampling.of(missing),
            ),
        )
        return ((index, Completion(*answer)) for index, answer in answers)

    def token_losses(
        self, renderings: Sequence[Rendering], checkpoints: Sequence[str | None]
    ) -> Iterator[tuple[int, list[float]]]:
        return self._answers(
            "answer loss",
            [
                request_key("score", self._identities[name], rendering.ids, rendering.prompt)
                for rendering, name in zip(renderings, checkpoints, strict=True)
            ],
            lambda missing: self._engine.token_losses(
                [renderings[index] for index in missing],
                [checkpoints[index] for index in missing],
            ),
        )

    def complete(
        self,
        questions: Sequence[Sequence[Rendering]],
        generation: GenerationSettings,
        checkpoints: Sequence[str | None],
    ) -> list[Completed]:
        """A greedy completion of each prompt and the losses of its answers, in order.

        questions: each is one prompt with its answers, the same number in all.
        """
        engine = self._engine
        if isinstance(engine, Completer) and engine.reads_prompts_once:
            settings = generation.model_dump(mode="json")
            found = self._answers(
                "completions",
                [
                    request_key(
                        "complete",
                        self._identities[name],
                        [(rendering.ids, rendering.prompt) for rendering in question],
                        settings,
                    )
                    for question, name in zip(questions, checkpoints, strict=True)
                ],
                lambda missing: engine.complete(
                    [questions[index] for index in missing],
                    generation,
                    [checkpoints[index] for index in missing],
                ),
            )
            return [Completed(Completion(*text), losses) for text, losses in in_order(found)]
        prompts = [question[0].prompt_ids for question in questions]
        texts = in_order(self.generate(prompts, generation, checkpoints))
        scored = [rendering for question in questions for rendering in question]
        names = [name for name, of in zip(checkpoints, questions, strict=True) for _ in of]
        forced = iter(in_order(self.token_losses(scored, names)))
        return [
            Completed(text, [next(forced) for _ in question])
            for text, question in zip(texts, questions, strict=True)
        ]

    def _answers(
        self,
        description: str,
        keys: Sequence[str],
        ask: Callable[[Sequence[int]], Iterator[tuple[int, Any]]],
    ) -> Iterator[tuple[int, Any]]:
        """ask: yields (place among the indices, answer) for the questions at these indices."""
        kept = sum(key in self._journal for key in keys)
        self._requested += len(keys)
        self._kept += kept
        if kept:
            print(f"{description}: {kept} of {len(keys)} answers are kept from before", flush=True)
        missing = {key: index for index, key in enumerate(keys) if key not in self._journal}
        asked = list(missing)
        for place, answer in ask(list(missing.values())):
            self._journal.add(asked[place], answer)
        yield from enumerate(self._journal[key] for key in keys)


def identities_of(
    kind: EngineKind, model: LocalModel, checkpoints: Mapping[str, Path]
) -> dict[str | None, str]:
    """A hash of everything that answers depend on, for the base model (None) and each checkpoint.

    It covers the kind of engine, the model's manifest and the checkpoint's files.
    """
    files: dict[str | None, Any] = {None: {}}
    for name, folder in checkpoints.items():
        files[name] = {file.name: sha256_of(file) for file in folder.iterdir() if file.is_file()}
    return {name: request_key(kind, model.manifest_sha256, own) for name, own in files.items()}
