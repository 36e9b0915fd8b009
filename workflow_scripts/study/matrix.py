"""The results of an experiment: base results, runs, transfers and teacher targets.

Everything is computed once, on first use, in the order of the config.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from itertools import product
from typing import NamedTuple

from workflow_scripts.config.comparisons import Domain
from workflow_scripts.config.models import ModelSource
from workflow_scripts.config.study import Experiment
from workflow_scripts.config.sweeps import SearchSettings
from workflow_scripts.config.teachers import TargetSettings
from workflow_scripts.results.names import is_transferred, source_of, without_source
from workflow_scripts.results.scorers import SCORERS
from workflow_scripts.study.layout import Layout
from workflow_scripts.study.results import (
    Answered,
    BaseResult,
    Repeat,
    Run,
    TeacherTargetFiles,
    Transfer,
)
from workflow_scripts.teachers.targets import target_name
from workflow_scripts.training.recipes import items_of
from workflow_scripts.training.terms import targets_of


class Training(NamedTuple):
    """Model, task and condition of a run, without its seed."""

    model: str
    task: str
    condition: str


class Matrix:
    """The models, tasks, conditions and seeds of an experiment, and their results."""

    def __init__(self, experiment: Experiment, layout: Layout) -> None:
        self.experiment = experiment
        self.layout = layout

    # models and tasks

    @cached_property
    def students(self) -> tuple[str, ...]:
        """Models that conditions may train."""
        if self.experiment.students is not None:
            return self.experiment.students
        models = self.experiment.models.items()
        return tuple(name for name, model in models if not only_teaches(model))

    @property
    def scratch_models(self) -> list[str]:
        """Models pretrained here."""
        return [name for name, model in self.experiment.models.items() if model.scratch is not None]

    @property
    def fetched_models(self) -> list[str]:
        return [name for name in self.experiment.models if name not in self.scratch_models]

    @cached_property
    def mixtures(self) -> list[str]:
        """Tasks that mix others."""
        tasks = self.experiment.tasks.items()
        return [name for name, task in tasks if task.data.mixture is not None]

    @property
    def plain_tasks(self) -> list[str]:
        """Tasks with a source of their own."""
        return [name for name in self.experiment.tasks if name not in self.mixtures]

    def components_of_mixture(self, mixture: str) -> tuple[str, ...]:
        """The tasks of a mixture."""
        return tuple(self.experiment.tasks[mixture].data.mixture or ())

    @property
    def choice_tasks(self) -> list[str]:
        """Tasks whose answers are labels."""
        tasks = self.experiment.tasks.items()
        return [name for name, task in tasks if SCORERS[task.scoring.scorer].labels]

    def shots_of(self, task: str) -> tuple[int, ...]:
        return self.experiment.tasks[task].shots or self.experiment.shots

    def transfer_shots_of(self, task: str) -> tuple[int, ...]:
        """Shot counts at which transfers are evaluated, among those of the base model."""
        own = self.shots_of(task)
        return tuple(n for n in self.experiment.evaluation.transfer_shots if n in own)

    # what is trained

    def conditions_of(self, model: str, task: str) -> list[str]:
        """Conditions that train this model on this task."""
        return self._conditions[model, task]

    @cached_property
    def _conditions(self) -> dict[tuple[str, str], list[str]]:
        return {
            (model, task): list(self._trained(model, task))
            for model, task in product(self.experiment.models, self.experiment.tasks)
        }

    def _trained(self, model: str, task: str) -> Iterator[str]:
        if model not in self.students or self.experiment.tasks[task].data.items.train == 0:
            return
        is_part = any(task in self.components_of_mixture(mixture) for mixture in self.mixtures)
        for name, condition in self.experiment.conditions.items():
            takes_task = not is_part if condition.tasks is None else task in condition.tasks
            if takes_task and (condition.models is None or model in condition.models):
                yield name

    def train_items(self, task: str, condition: str) -> int:
        """Number of items that a condition trains on."""
        items = self.experiment.tasks[task].data.items.train
        return items_of(self.experiment.conditions[condition], items)

    def transfers_to(self, model: str, task: str) -> list[tuple[str, str]]:
        """(source task, condition) of the runs that are transferred to this task."""
        return [
            (source, condition)
            for source, targets in self.experiment.transfer.items()
            if task in targets
            for condition in self.conditions_of(model, source)
        ]

    def searched(self, search: SearchSettings) -> list[Training]:
        """The trainings that match the search; a valid search has one."""
        return [
            Training(model, task, search.condition)
            for model, task in product(self.experiment.models, self.experiment.tasks)
            if search.model in (None, model)
            and search.task in (None, task)
            and search.condition in self.conditions_of(model, task)
        ]

    def searched_run(self, search: str) -> Training:
        """The one training of the search."""
        (found,) = self.searched(self.experiment.searches[search])
        return found

    # results

    def results_of(self, model: str, task: str) -> tuple[Answered, ...]:
        """All results of the model on the task: base results, runs, transfers."""
        return self._results[model, task]

    def base_results_of(self, model: str, task: str) -> tuple[BaseResult, ...]:
        return tuple(r for r in self.results_of(model, task) if isinstance(r, BaseResult))

    def runs_of(self, model: str, task: str) -> tuple[Run, ...]:
        return tuple(r for r in self.results_of(model, task) if isinstance(r, Run))

    def transfers_of(self, model: str, task: str) -> tuple[Transfer, ...]:
        """Runs on other tasks, evaluated on this one."""
        return tuple(r for r in self.results_of(model, task) if isinstance(r, Transfer))

    def own_results_of(self, model: str, task: str) -> tuple[BaseResult | Run, ...]:
        """Base results and runs, without transfers."""
        return (*self.base_results_of(model, task), *self.runs_of(model, task))

    def repeated_runs_of(self, model: str, task: str) -> tuple[Run, ...]:
        """The run evaluated twice, as a tuple: the baseline's first, else the first; or none."""
        runs = self.runs_of(model, task)
        baseline = [r for r in runs if r.condition == self.experiment.analysis.baseline]
        return (*baseline, *runs)[:1]

    def repeats_of(self, model: str, task: str) -> tuple[Repeat, ...]:
        """The second evaluation of that run."""
        return tuple(
            Repeat(r.layout, r.model, r.task, r.condition, r.seed, r.support)
            for r in self.repeated_runs_of(model, task)
        )

    @cached_property
    def _results(self) -> dict[tuple[str, str], tuple[Answered, ...]]:
        pairs = product(self.experiment.models, self.experiment.tasks)
        return {(model, task): tuple(self._answered(model, task)) for model, task in pairs}

    def _answered(self, model: str, task: str) -> Iterator[Answered]:
        seeds = self.experiment.seeds
        for shots in self.shots_of(task):
            yield BaseResult(self.layout, model, task, shots)
        for condition in self.conditions_of(model, task):
            support = self.train_items(task, condition)
            for seed in seeds:
                yield Run(self.layout, model, task, condition, seed, support)
        for source, condition in self.transfers_to(model, task):
            support = self.train_items(source, condition)
            for shots, seed in product(self.transfer_shots_of(task), seeds):
                yield Transfer(self.layout, model, task, source, condition, shots, seed, support)

    # results by name, which all seeds share in tables, figures and groups

    def names_of(self, model: str, task: str) -> list[str]:
        """Names of the results of the model on the task."""
        return list(dict.fromkeys(result.name for result in self.results_of(model, task)))

    @cached_property
    def names(self) -> list[str]:
        """Names of all results of the experiment, each once."""
        pairs = product(self.experiment.models, self.experiment.tasks)
        return list(dict.fromkeys(name for pair in pairs for name in self.names_of(*pair)))

    def is_trained(self, name: str) -> bool:
        """Whether a result is of a run, not of the base model."""
        return name in self.experiment.conditions or is_transferred(name)

    def support(self, task: str, name: str) -> int:
        """Labelled examples behind a result: demonstrations shown, or items trained on."""
        if not self.is_trained(name):
            return int(name.removesuffix("-shot"))
        return self.train_items(source_of(name) or task, without_source(name))

    # in and out of domain

    def domains_of(self, model: str) -> list[Domain]:
        """In and out of domain, for each mixture whose runs of this model are transferred."""
        return [domain for domain in self._domains(model) if domain.tasks]

    def _domains(self, model: str) -> Iterator[Domain]:
        for source in self.mixtures:
            components = self.components_of_mixture(source)
            targets = self.experiment.transfer.get(source, ())
            if self.conditions_of(model, source):
                inside = tuple(task for task in targets if task in components)
                outside = tuple(task for task in targets if task not in components)
                yield Domain(source=source, name="in", tasks=inside)
                yield Domain(source=source, name="out", tasks=outside)

    @property
    def models_with_domains(self) -> list[str]:
        return [model for model in self.experiment.models if self.domains_of(model)]

    def domain_results_of(self, model: str) -> tuple[BaseResult | Transfer, ...]:
        """Base results and transfers on the tasks of the model's domains."""
        tasks = dict.fromkeys(task for domain in self.domains_of(model) for task in domain.tasks)
        return tuple(
            result
            for task in tasks
            for result in self.results_of(model, task)
            if isinstance(result, BaseResult | Transfer)
        )

    # teachers

    def teaching_model(self, teacher: str, student: str) -> str:
        """The model behind a teacher of this student; its folder holds the targets."""
        return self.experiment.teachers[teacher].model or student

    def read_by(self, model: str, task: str, condition: str) -> tuple[TeacherTargetFiles, ...]:
        """The teacher targets of the condition's runs of this model on this task."""
        return tuple(
            TeacherTargetFiles(
                self.layout,
                self.teaching_model(teacher, model),
                task,
                teacher,
                target_name(target),
            )
            for teacher, target in targets_of(self.experiment.conditions[condition])
        )

    def targets_of(self, model: str, task: str) -> tuple[TeacherTargetFiles, ...]:
        """Targets of this model that some student reads, each once."""
        return self._targets[model, task]

    @cached_property
    def _targets(self) -> dict[tuple[str, str], tuple[TeacherTargetFiles, ...]]:
        models, tasks = self.experiment.models, self.experiment.tasks
        found: dict[tuple[str, str], dict[TeacherTargetFiles, None]] = {
            pair: {} for pair in product(models, tasks)
        }
        for student, task in product(models, tasks):
            for condition in self.conditions_of(student, task):
                for target in self.read_by(student, task, condition):
                    found[target.model, task].setdefault(target)
        return {pair: tuple(targets) for pair, targets in found.items()}

    def target(self, teacher: str, name: str) -> TargetSettings:
        """Raises KeyError when no condition reads that target from that teacher."""
        try:
            return self._target_settings[teacher, name]
        except KeyError:
            raise KeyError(f"no condition reads target {name} from teacher {teacher}") from None

    @cached_property
    def _target_settings(self) -> dict[tuple[str, str], TargetSettings]:
        return {
            (teacher, target_name(target)): target
            for condition in self.experiment.conditions.values()
            for teacher, target in targets_of(condition)
        }

    def shards(self, task: str) -> list[str]:
        """Names of the shards of each target on this task; needs no data."""
        items = self.experiment.tasks[task].data.items.train
        count = math.ceil(items / self.experiment.teacher_pass.shard_size)
        return [f"{index:04d}" for index in range(count)]


def only_teaches(model: ModelSource) -> bool:
    return model.architecture == "encoder-decoder" or model.quantization is not None
