"""The files that a run, or one round of it, is trained on."""

from __future__ import annotations

from workflow_scripts.study.passes import Passes
from workflow_scripts.study.results import PlannedTarget


class RunInputs:
    """Inputs of the jobs that train.

    A student that trains on its own answers has a job for each round; `round` is its number, empty
    for the last. All other runs are one job.
    """

    def __init__(self, passes: Passes) -> None:
        self.passes = passes
        self.supervision = passes.supervision
        self.layout = self.supervision.layout

    def phases(self, condition: str, round: str = "") -> list[int]:
        """Numbers of the phases that the job trains."""
        numbers = list(range(len(self.supervision.phases_of(condition))))
        if not self.supervision.is_in_rounds(condition):
            return numbers
        return [int(round) if round else numbers[-1]]

    def examples(
        self, model: str, task: str, condition: str, seed: int = 0, draw: int = 0, round: str = ""
    ) -> list[str]:
        """The examples of each phase; the pool of those that train on demonstrations."""
        return [
            self._examples(model, task, condition, seed, draw, number)
            for number in self.phases(condition, round)
        ]

    def _examples(
        self, model: str, task: str, condition: str, seed: int, draw: int, number: int
    ) -> str:
        answers = self.supervision.answers_of(model, task, condition, seed, draw, number)
        if answers is not None:
            return answers.file("examples.parquet")
        shown = self.supervision.phases_of(condition)[number].train_on == "demonstrations"
        return self.layout.task(f"{'demonstrations' if shown else 'train'}.parquet", task)

    def targets(
        self, model: str, task: str, condition: str, seed: int = 0, draw: int = 0, round: str = ""
    ) -> list[str]:
        """The manifest of each shard of each target that the phases read."""
        read = self._read(model, task, condition, seed, draw, round)
        shards = [shard for target in read for shard in self.passes.shards_of(target)]
        return [shard.file("manifest.json") for shard in shards]

    def teaching_models(
        self, model: str, task: str, condition: str, seed: int = 0, draw: int = 0, round: str = ""
    ) -> list[str]:
        """The model that each of these targets is read from."""
        read = self._read(model, task, condition, seed, draw, round)
        return [self.layout.model(target.teaching) for target in read]

    def earlier(
        self, model: str, task: str, condition: str, seed: int = 0, draw: int = 0, round: str = ""
    ) -> list[str]:
        """The checkpoints of the round before; none for the first round, or without rounds."""
        number = self.phases(condition, round)[0]
        names = (model, task, condition, seed, draw, number - 1)
        return [self.layout.round("checkpoints/manifest.json", *names)] if number else []

    def last_round(self, condition: str) -> int:
        return self.phases(condition)[0]

    def _read(
        self, model: str, task: str, condition: str, seed: int, draw: int, round: str
    ) -> list[PlannedTarget]:
        phases = self.supervision.read_by(model, task, condition, seed, draw)
        return [target for number in self.phases(condition, round) for target in phases[number]]
