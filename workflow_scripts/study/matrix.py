"""The results of an experiment: base results, runs, tuned results and transfers.

Everything is computed once, on first use, in the order of the config.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import product
from typing import NamedTuple

from workflow_scripts.config.comparisons import Domain
from workflow_scripts.config.conditions import PhaseSettings
from workflow_scripts.config.models import ModelSource
from workflow_scripts.config.results_from import ForeignResult
from workflow_scripts.config.study import Experiment
from workflow_scripts.config.sweeps import SearchSettings
from workflow_scripts.results.names import (
    BASE,
    ELSEWHERE,
    is_transferred,
    source_of,
    tuned_condition,
    without_source,
)
from workflow_scripts.results.scorers import SCORERS
from workflow_scripts.study.layout import Layout
from workflow_scripts.study.results import (
    Answered,
    BaseResult,
    Evaluated,
    Foreign,
    Repeat,
    Run,
    TeacherResult,
    Transfer,
    Tuned,
)
from workflow_scripts.study.sweeps import candidates_of
from workflow_scripts.training.terms import all_terms, reads_answers, teachers_of, trained_phases

# draws of demonstrations; (None,) for what is the same in all of them
Draws = tuple[int | None, ...]


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
    def models_here(self) -> tuple[str, ...]:
        """Models that run here; others have only results that were made elsewhere."""
        models = self.experiment.models.items()
        return tuple(name for name, model in models if model.source != ELSEWHERE)

    @cached_property
    def students(self) -> tuple[str, ...]:
        """Models that conditions may train."""
        if self.experiment.students is not None:
            return self.experiment.students
        models = self.experiment.models
        return tuple(name for name in self.models_here if not only_teaches(models[name]))

    @property
    def scratch_models(self) -> list[str]:
        """Models pretrained here."""
        return [name for name, model in self.experiment.models.items() if model.scratch is not None]

    @property
    def fetched_models(self) -> list[str]:
        return [name for name in self.models_here if name not in self.scratch_models]

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

    @property
    def ranked_tasks(self) -> list[str]:
        """Choice tasks whose labels are ranked by their probabilities."""
        tasks = self.experiment.tasks.items()
        return [name for name, task in tasks if SCORERS[task.scoring.scorer].ranks_labels]

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

    def train_items(self, task: str, phase: PhaseSettings) -> int:
        """Number of items, or of demonstrations, that a phase trains on."""
        if phase.train_on == "demonstrations":
            return phase.train_items or self.most_shots(task)
        items = self.experiment.tasks[task].data.items.train
        return min(phase.train_items or items, items)

    def labels_used(self, task: str, condition: str) -> int:
        """Labelled examples that the condition's runs use.

        Training items whose answers are read; where there are none, the demonstrations that it
        trains on or that its teachers see.
        """
        settings = self.experiment.conditions[condition]
        phases = trained_phases(settings)
        trained = [
            self.train_items(task, phase)
            for phase in phases
            if phase.train_on == "items"
            and phase.answers.by == "gold"
            and any(map(reads_answers, phase.terms))
        ]
        shown = [
            self.train_items(task, phase) for phase in phases if phase.train_on == "demonstrations"
        ]
        teachers = self.teachers_of(condition)
        return max(trained or [*shown, *(self.labels_shown(task, t) for t in teachers)], default=0)

    @cached_property
    def candidates(self) -> dict[str, tuple[str, ...]]:
        """Condition that is tuned → the conditions that it is chosen from, itself the first."""
        return candidates_of(self.experiment.sweeps, self.experiment.conditions)

    # teachers and draws of demonstrations

    def teaching_model(self, teacher: str, student: str) -> str:
        """The model behind a teacher of this student."""
        return self.experiment.teachers[teacher].model or student

    def teachers_of(self, condition: str) -> tuple[str, ...]:
        """Teachers that the condition's terms read or whose answers it trains on."""
        settings = self.experiment.conditions[condition]
        read = [name for t in all_terms(settings) for name in teachers_of(t, settings.teacher)]
        answers = [phase.answers.by for phase in trained_phases(settings)]
        if "teacher" in answers and settings.teacher is not None:
            read.append(settings.teacher)
        return tuple(dict.fromkeys(read))

    def most_shots(self, task: str) -> int:
        return max(self.shots_of(task), default=0)

    def teacher_shots(self, task: str, teacher: str) -> int:
        shots = self.experiment.teachers[teacher].shots
        return self.most_shots(task) if shots == "most" else shots

    def labels_shown(self, task: str, teacher: str) -> int:
        """Labelled examples that the teacher sees: demonstrations without answers are none."""
        is_unanswered = self.experiment.teachers[teacher].answers == "none"
        return 0 if is_unanswered else self.teacher_shots(task, teacher)

    def shown_at_most(self, task: str) -> int:
        """The most demonstrations that the study shows or trains on: the length of a draw."""
        shown = [self.most_shots(task)]
        if self.experiment.tasks[task].data.items.train:
            shown += [self.teacher_shots(task, name) for name in self.experiment.teachers]
            shown += [
                self.train_items(task, phase)
                for condition in self.experiment.conditions.values()
                for phase in trained_phases(condition)
                if phase.train_on == "demonstrations"
            ]
        return max(shown)

    def draws_of_shots(self, shots: int) -> Draws:
        """The draws of a context with this number of demonstrations; (None,) if it has only one."""
        drawn = self.experiment.draws if shots else 1
        return tuple(range(drawn)) if drawn > 1 else (None,)

    def draws_of_teacher(self, task: str, teacher: str) -> Draws:
        return self.draws_of_shots(self.teacher_shots(task, teacher))

    def draws_of_condition(self, task: str, condition: str) -> Draws:
        """The draws for which its runs are repeated; (None,) if it depends on none."""
        shown = [self.teacher_shots(task, name) for name in self.teachers_of(condition)]
        phases = trained_phases(self.experiment.conditions[condition])
        trained = [phase.train_on == "demonstrations" for phase in phases]
        return self.draws_of_shots(max([*shown, *trained], default=0))

    def own_teachers(self, model: str, task: str) -> list[str]:
        """Teachers with more in their context than demonstrations, whose model this is.

        They have results of their own.
        """
        return [
            name
            for name, teacher in self.experiment.teachers.items()
            if (teacher.system is not None or teacher.item is not None)
            and (model in self.students if teacher.model is None else teacher.model == model)
            and (teacher.item is None or teacher.item in self.experiment.tasks[task].data.columns)
        ]

    def transfers_to(self, model: str, task: str) -> list[tuple[str, str]]:
        """(source task, condition) of the runs that are transferred to this task."""
        return [
            (source, condition)
            for source in dict.fromkeys((*self.experiment.transfer, *self.experiment.tasks))
            if task in self.transfers_from(source)
            for condition in self.conditions_of(model, source)
        ]

    def transfers_from(self, task: str) -> dict[str, tuple[int, ...]]:
        """Other task → numbers of demonstrations after which it is asked of runs on this one."""
        others = self.experiment.transfer.get(task, ())
        asked = {name: shots for name in others if (shots := self.transfer_shots_of(name))}
        return asked | {name: (0,) for name in self.retained_by(task) if name not in asked}

    def retained_by(self, task: str) -> tuple[str, ...]:
        """Tasks that runs on this one may forget: what they were trained on is none."""
        trained = {task, *self.components_of_mixture(task)}
        return tuple(
            name
            for name in self.experiment.retention
            if trained.isdisjoint({name, *self.components_of_mixture(name)})
        )

    @property
    def pairs_with_retention(self) -> list[tuple[str, str]]:
        """(model, trained task) whose runs are evaluated on tasks that they may forget."""
        pairs = product(self.experiment.models, self.experiment.tasks)
        return [
            (model, task)
            for model, task in pairs
            if self.conditions_of(model, task) and self.retained_by(task)
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
        """All results of the model on the task: base results, runs, tuned, transfers, foreign."""
        return self._results[model, task]

    def evaluated_of(self, model: str, task: str) -> tuple[Evaluated, ...]:
        """Those that are evaluated here."""
        return tuple(r for r in self.results_of(model, task) if not isinstance(r, Foreign))

    def foreign_of(self, model: str, task: str) -> tuple[Foreign, ...]:
        """Those that were made elsewhere."""
        return tuple(r for r in self.results_of(model, task) if isinstance(r, Foreign))

    def foreign_settings(self, model: str, task: str, foreign: str) -> ForeignResult:
        """What the config says of a result that was made elsewhere."""
        asked = (model, task, foreign)
        every = self.experiment.results_from
        return next(own for own in every if (own.model, own.task, own.name) == asked)

    def base_results_of(self, model: str, task: str) -> tuple[BaseResult, ...]:
        return tuple(r for r in self.results_of(model, task) if isinstance(r, BaseResult))

    def runs_of(self, model: str, task: str) -> tuple[Run, ...]:
        return tuple(r for r in self.results_of(model, task) if isinstance(r, Run))

    def transfers_of(self, model: str, task: str) -> tuple[Transfer, ...]:
        """Runs on other tasks, evaluated on this one."""
        return tuple(r for r in self.results_of(model, task) if isinstance(r, Transfer))

    def own_results_of(self, model: str, task: str) -> tuple[Evaluated, ...]:
        """Those without transfers."""
        return tuple(r for r in self.evaluated_of(model, task) if not isinstance(r, Transfer))

    def candidate_runs_of(
        self, model: str, task: str, tuned: str, seed: int, draw: int
    ) -> tuple[Run, ...]:
        """The runs that the run of a tuned condition with this seed and draw is chosen from."""
        return tuple(
            run
            for run in self.runs_of(model, task)
            if run.condition in self.candidates[tuned]
            and run.seed == seed
            and run.draw in (draw, None)
        )

    def repeated_runs_of(self, model: str, task: str) -> tuple[Run, ...]:
        """The run evaluated twice, as a tuple: the baseline's first, else the first; or none."""
        runs = self.runs_of(model, task)
        baseline = [r for r in runs if r.condition == self.experiment.analysis.baseline]
        return (*baseline, *runs)[:1]

    def repeats_of(self, model: str, task: str) -> tuple[Repeat, ...]:
        """The second evaluation of that run."""
        return tuple(
            Repeat(r.layout, r.model, r.task, r.condition, r.seed, r.support, r.draw)
            for r in self.repeated_runs_of(model, task)
        )

    @cached_property
    def _results(self) -> dict[tuple[str, str], tuple[Answered, ...]]:
        pairs = product(self.experiment.models, self.experiment.tasks)
        return {(model, task): tuple(self._answered(model, task)) for model, task in pairs}

    def _answered(self, model: str, task: str) -> Iterator[Answered]:
        seeds = self.experiment.seeds
        for shots in self.shots_of(task) if model in self.models_here else ():
            for draw in self.draws_of_shots(shots):
                yield BaseResult(self.layout, model, task, shots, draw)
        for teacher in self.own_teachers(model, task):
            shots = self.teacher_shots(task, teacher)
            for draw in self.draws_of_teacher(task, teacher):
                yield TeacherResult(self.layout, model, task, shots, draw, teacher)
        for condition in self.conditions_of(model, task):
            support = self.labels_used(task, condition)
            for draw, seed in product(self.draws_of_condition(task, condition), seeds):
                yield Run(self.layout, model, task, condition, seed, support, draw)
        for condition, candidates in self.candidates.items():
            if condition in self.conditions_of(model, task):
                support = max(self.labels_used(task, candidate) for candidate in candidates)
                drawn = max((self.draws_of_condition(task, name) for name in candidates), key=len)
                for draw, seed in product(drawn, seeds):
                    yield Tuned(self.layout, model, task, condition, seed, support, draw)
        for source, condition in self.transfers_to(model, task):
            run = (source, condition)
            support, draws = self.labels_used(*run), self.draws_of_condition(*run)
            shown = self.transfers_from(source)[task]
            for shots, draw, seed in product(shown, draws, seeds):
                yield Transfer(self.layout, model, task, *run, shots, seed, support, draw)
        for foreign in self.experiment.results_from:
            if (foreign.model, foreign.task) == (model, task):
                of_files: tuple[int | None, ...] = seeds if foreign.files else (None,)
                for number, of_file in enumerate(of_files):
                    yield Foreign(self.layout, model, task, foreign.name, number, of_file)

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
        is_tuned = tuned_condition(name) in self.candidates
        return name in self.experiment.conditions or is_tuned or is_transferred(name)

    @cached_property
    def foreign_names(self) -> frozenset[str]:
        """Names of the results that were made elsewhere."""
        return frozenset(foreign.name for foreign in self.experiment.results_from)

    def support(self, task: str, name: str) -> int | None:
        """Labelled examples behind a result: demonstrations shown, or items trained on.

        Of a tuned one the most of its candidates, since it needs all of them. None of a result that
        was made elsewhere: it is not known.
        """
        if name in self.foreign_names:
            return None
        if candidates := self.candidates.get(tuned_condition(name)):
            return max(self.labels_used(task, candidate) for candidate in candidates)
        if name in self.experiment.teachers:
            return self.labels_shown(task, name)
        if not self.is_trained(name):
            return int(name.removesuffix("-shot"))
        return self.labels_used(source_of(name) or task, without_source(name))

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

    # what was forgotten

    def retained_results_of(self, model: str, task: str) -> tuple[Answered, ...]:
        """Runs on the task and the base model without demonstrations, there and where it is
        retained.
        """
        return tuple(
            result
            for answered in (task, *self.retained_by(task))
            for result in self.results_of(model, answered)
            if result.name == BASE
            or (isinstance(result, Run) and answered == task)
            or (isinstance(result, Transfer) and result.source == task and result.shots == 0)
        )


def only_teaches(model: ModelSource) -> bool:
    return model.architecture == "encoder-decoder" or model.quantization is not None
