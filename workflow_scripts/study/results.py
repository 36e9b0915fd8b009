"""Types of results: each knows its files and its entry in an index.

Jobs read an index as a `workflow_scripts.results.index.ResultIndex`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from workflow_scripts.config.teachers import TargetSettings
from workflow_scripts.results.names import transferred, tuned
from workflow_scripts.study.layout import Layout
from workflow_scripts.teachers.targets import target_name

# kind of a file, its key in an index → its name
FILES = {
    "predictions": "predictions.parquet",
    "training_log": "training_log.csv",
    "cost": "cost.json",
    "inference": "inference.json",
    "representations": "representations.parquet",
    "similarity": "similarity.csv",
    "manifest": "manifest.json",
    "answers": "answers.parquet",
    "kept": "examples.parquet",
    "origin": "origin.json",
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
    """The base model with `shots` demonstrations.

    draw: of the demonstrations; None where there is one draw, or nothing to draw.
    """

    shots: int
    draw: int | None = None

    kinds = frozenset({"predictions", "inference"})

    @property
    def name(self) -> str:
        return f"{self.shots}-shot"

    @property
    def key(self) -> dict[str, Any]:
        return _key(self, self.name, shots=self.shots, support=self.shots)

    def file(self, name: str) -> str:
        return self.layout.base(name, self.model, self.task, self.shots, self.draw)


@dataclass(frozen=True)
class TeacherResult(BaseResult):
    """A teacher with more in its context than demonstrations; `model` is the one that teaches."""

    teacher: str = ""

    @property
    def name(self) -> str:
        return self.teacher

    def file(self, name: str) -> str:
        return self.layout.teacher(name, self.model, self.task, self.teacher, self.draw)


@dataclass(frozen=True)
class Run(Result):
    """A trained student.

    support: number of labelled examples that it used.
    draw: of the demonstrations; None where it depends on none, or there is one draw.
    """

    condition: str
    seed: int
    support: int
    draw: int | None = None

    kinds = frozenset({"predictions", "training_log", "cost", "inference"})

    @property
    def name(self) -> str:
        return self.condition

    @property
    def key(self) -> dict[str, Any]:
        return _key(self, self.name, seed=self.seed, support=self.support)

    def file(self, name: str) -> str:
        return self.layout.run(name, self.model, self.task, self.condition, self.seed, self.draw)


@dataclass(frozen=True)
class Repeat(Run):
    """The second evaluation of a run's chosen checkpoint."""

    kinds = frozenset({"predictions"})

    def file(self, name: str) -> str:
        return self.layout.repeat(name, self.model, self.task, self.condition, self.seed, self.draw)


@dataclass(frozen=True)
class RunStates(Run):
    """The hidden states of a run's checkpoints."""

    kinds = frozenset({"representations", "similarity"})

    @property
    def key(self) -> dict[str, Any]:
        names = {"model": self.model, "task": self.task}
        return names | {"condition": self.condition, "seed": self.seed, "draw": self.draw}


@dataclass(frozen=True)
class Tuned(Result):
    """A run of the variant of `condition` that validation items chose for the model and task.

    Its files are copies. support: see `Matrix.support`.
    """

    condition: str
    seed: int
    support: int
    draw: int | None = None

    kinds = Run.kinds

    @property
    def name(self) -> str:
        return tuned(self.condition)

    @property
    def key(self) -> dict[str, Any]:
        return _key(self, self.name, seed=self.seed, support=self.support)

    def file(self, name: str) -> str:
        return self.layout.tuned(name, self.model, self.task, self.condition, self.seed, self.draw)


@dataclass(frozen=True)
class Transfer(Result):
    """A run on the task `source`, evaluated on `task` with `shots` demonstrations.

    Its files hold the results of its run on all tasks and after all numbers of demonstrations.
    support: number of labelled examples that training used, without these demonstrations.
    """

    source: str
    condition: str
    shots: int
    seed: int
    support: int
    draw: int | None = None

    kinds = frozenset({"predictions"})

    @property
    def name(self) -> str:
        return transferred(self.condition, self.source, self.shots)

    @property
    def key(self) -> dict[str, Any]:
        return _key(self, self.name, seed=self.seed, support=self.support)

    def file(self, name: str) -> str:
        names = (self.model, self.source, self.condition)
        return self.layout.transfer(name, *names, self.seed, self.draw)


@dataclass(frozen=True)
class Foreign(Result):
    """A result that was made elsewhere.

    number: of the file that it is read from, from 0.
    seed: None where it has one file.
    """

    name: str
    number: int
    seed: int | None

    kinds = frozenset({"predictions", "origin"})

    @property
    def key(self) -> dict[str, Any]:
        names = {"model": self.model, "task": self.task, "condition": self.name}
        return names | {"seed": self.seed, "shots": None, "foreign": True}

    def file(self, name: str) -> str:
        return self.layout.foreign(name, self.model, self.task, self.name, self.number)


@dataclass(frozen=True)
class GeneratedAnswers(Result):
    """Answers of a teacher to a split, or of a student in a round, and those that are kept.

    model: whose folder they lie in. author: a teacher, or a student's condition.
    answered: their folder. kept: name of the filter.
    kind: how they were drawn and kept, for tables.
    seed, round: of a student.
    """

    author: str
    answered: str
    kept: str
    draw: int | None = None
    kind: str = field(default="", compare=False)
    seed: int | None = None
    round: int | None = None

    kinds = frozenset({"answers", "kept"})

    @property
    def data(self) -> str:
        """The folder of the kept ones, with a slash."""
        return f"{self.answered}/{self.kept}/"

    @property
    def key(self) -> dict[str, Any]:
        """Of a `tables.answers.AnswersEntry`."""
        author = "teacher" if self.round is None else "condition"
        names = {"model": self.model, "task": self.task, author: self.author, "kind": self.kind}
        return names | {"draw": self.draw, "seed": self.seed, "round": self.round}

    def file(self, name: str) -> str:
        folder = f"{self.answered}/" if name == FILES["answers"] else self.data
        return self.layout.pair(f"{folder}{name}", self.model, self.task)


@dataclass(frozen=True)
class PlannedTarget:
    """A teacher target that a run reads; `passes` knows its files.

    model: whose folder it lies in (see `Layout.targets`). teaching: the model that teaches.
    data: folder of the answers that it reads; empty for the task's own.
    answers: these, where they are generated.
    items: number of examples that it is of, at most.
    """

    layout: Layout = field(repr=False, compare=False)
    model: str
    task: str
    teacher: str
    target: TargetSettings
    teaching: str
    items: int = field(compare=False)
    draw: int | None = None
    data: str = ""
    answers: GeneratedAnswers | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        return target_name(self.target)

    @property
    def folder(self) -> str:
        """The folder of all targets of this teacher, with a slash."""
        names = (self.model, self.task, self.teacher, self.draw, self.data)
        return self.layout.targets("", *names)

    @property
    def author(self) -> str:
        """Whose answers it is of, for tables."""
        return f"{self.answers.author} ({self.answers.kind})" if self.answers else "gold"

    @property
    def key(self) -> dict[str, Any]:
        """Of a `tables.targets.TargetEntry`."""
        names = {"model": self.model, "task": self.task, "teacher": self.teacher}
        return names | {"target": self.name, "draw": self.draw, "author": self.author}


@dataclass(frozen=True)
class TargetShard(Result):
    """A shard of a teacher target; other targets of the teacher may lie in its files too.

    number: of the pass that made it.
    """

    target: PlannedTarget
    number: int
    shard: str

    kinds = frozenset({"manifest"})

    @property
    def key(self) -> dict[str, Any]:
        return self.target.key

    def file(self, name: str) -> str:
        target = self.target
        names = (self.model, self.task, target.teacher, self.number, self.shard)
        return self.layout.shard(name, *names, target.draw, target.data)


Evaluated = BaseResult | Run | Tuned | Transfer
Answered = Evaluated | Foreign


def _key(
    result: Evaluated,
    condition: str,
    *,
    shots: int | None = None,
    seed: int | None = None,
    support: int,
) -> dict[str, Any]:
    """The key of an `index.ResultEntry`."""
    names = {"model": result.model, "task": result.task, "condition": condition}
    return names | {"shots": shots, "seed": seed, "draw": result.draw, "support": support}
