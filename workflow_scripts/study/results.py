"""Types of results: each knows its files and its entry in an index.

Jobs read an index as a `workflow_scripts.results.index.ResultIndex`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from workflow_scripts.results.names import transferred
from workflow_scripts.study.layout import Layout

# kind of a file, its key in an index → its name
FILES = {
    "predictions": "predictions.parquet",
    "training_log": "training_log.csv",
    "cost": "cost.json",
    "inference": "inference.json",
    "representations": "representations.parquet",
    "similarity": "similarity.csv",
    "manifest": "manifest.json",
}


@dataclass(frozen=True)
class Result(ABC):
    """Files of one model on one task. kinds: the kinds of `FILES` that it has."""

    layout: Layout = field(repr=False, compare=False)
    model: str
    task: str

    kinds: ClassVar[frozenset[str]]

    @abstractmethod
    def file(self, name: str) -> str:
        """Path of its file with this name."""

    @property
    @abstractmethod
    def key(self) -> dict[str, Any]:
        """Its identity in an index."""

    def files(self, *kinds: str) -> dict[str, str]:
        """Kind → path, without kinds that it lacks."""
        return {kind: self.file(FILES[kind]) for kind in kinds if kind in self.kinds}

    def entry(self, *kinds: str, given: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Its entry in an index with these kinds of files.

        given: planned path → path in the rule's input, which may have a prefix.
        """
        files = self.files(*kinds)
        if given is not None:
            files = {kind: given[path] for kind, path in files.items()}
        return self.key | files


@dataclass(frozen=True)
class BaseResult(Result):
    """The base model with `shots` demonstrations."""

    shots: int

    kinds = frozenset({"predictions", "inference"})

    @property
    def name(self) -> str:
        return f"{self.shots}-shot"

    @property
    def key(self) -> dict[str, Any]:
        return _key(self, self.name, shots=self.shots, seed=None, support=self.shots)

    def file(self, name: str) -> str:
        return self.layout.base(name, self.model, self.task, self.shots)


@dataclass(frozen=True)
class Run(Result):
    """A trained student. support: number of training items."""

    condition: str
    seed: int
    support: int

    kinds = frozenset({"predictions", "training_log", "cost", "inference"})

    @property
    def name(self) -> str:
        return self.condition

    @property
    def key(self) -> dict[str, Any]:
        return _key(self, self.name, shots=None, seed=self.seed, support=self.support)

    def file(self, name: str) -> str:
        return self.layout.run(name, self.model, self.task, self.condition, self.seed)


@dataclass(frozen=True)
class Repeat(Run):
    """The second evaluation of a run's chosen checkpoint."""

    kinds = frozenset({"predictions"})

    def file(self, name: str) -> str:
        return self.layout.repeat(name, self.model, self.task, self.condition, self.seed)


@dataclass(frozen=True)
class RunStates(Run):
    """The hidden states of a run's checkpoints."""

    kinds = frozenset({"representations", "similarity"})

    @property
    def key(self) -> dict[str, Any]:
        names = {"model": self.model, "task": self.task}
        return names | {"condition": self.condition, "seed": self.seed}


@dataclass(frozen=True)
class Transfer(Result):
    """A run on the task `source`, evaluated on `task` with `shots` demonstrations.

    support: number of training items, without the demonstrations.
    """

    source: str
    condition: str
    shots: int
    seed: int
    support: int

    kinds = frozenset({"predictions"})

    @property
    def name(self) -> str:
        return transferred(self.condition, self.source, self.shots)

    @property
    def key(self) -> dict[str, Any]:
        return _key(self, self.name, shots=None, seed=self.seed, support=self.support)

    def file(self, name: str) -> str:
        return self.layout.transfer(
            name, self.model, self.task, self.source, self.condition, self.seed, self.shots
        )


@dataclass(frozen=True)
class TeacherTargetFiles(Result):
    """A teacher target on disk; `model` is the one that teaches."""

    teacher: str
    target: str

    kinds = frozenset({"manifest"})

    @property
    def key(self) -> dict[str, Any]:
        names = {"model": self.model, "task": self.task}
        return names | {"teacher": self.teacher, "target": self.target}

    def file(self, name: str) -> str:
        return self.layout.target(name, self.model, self.task, self.teacher, self.target)


Answered = BaseResult | Run | Transfer


def _key(
    result: Result, condition: str, *, shots: int | None, seed: int | None, support: int
) -> dict[str, Any]:
    """The key of an `index.ResultEntry`."""
    names = {"model": result.model, "task": result.task, "condition": condition}
    return names | {"shots": shots, "seed": seed, "support": support}
