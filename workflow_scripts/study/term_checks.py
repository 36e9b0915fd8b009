"""Checks of the terms against teachers, models and tasks. See `checks.py`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from workflow_scripts.config.conditions import ConditionSettings
from workflow_scripts.config.teachers import TeacherSettings
from workflow_scripts.config.terms import Term
from workflow_scripts.prompts.label_tokens import labels_of
from workflow_scripts.study.refusals import unknown
from workflow_scripts.study.study import Study
from workflow_scripts.teachers.targets import KINDS
from workflow_scripts.training.terms import reads_of, teachers_of, trained_phases

Problems = Iterator[tuple[str, str]]


def reference_problems(study: Study) -> Problems:
    experiment = study.experiment
    for name, condition in experiment.conditions.items():
        if condition.teacher is not None:
            yield from unknown(
                condition.teacher, experiment.teachers, f"conditions.{name}.teacher", "teacher"
            )
        for place, term in terms_of(name, condition):
            reference = reads_of(term).reference
            if reference is not None:
                path = f"{place}.reference"
                yield from unknown(reference, experiment.teachers, path, "teacher")
                if not _is_without_context(experiment.teachers[reference]):
                    yield path, f"'{reference}' must be a teacher without context"


def label_problems(study: Study) -> Problems:
    """Label terms need labels on every task that they train on."""
    for trained in _trained_terms(study):
        labels = labels_of(study.experiment.tasks[trained.task].data)
        if reads_of(trained.term).labels and labels is None:
            yield (
                trained.path,
                f"{trained.term.objective} needs labels, but tasks.{trained.task}.data has neither "
                "`choices` nor `verbalizers`",
            )


def teacher_problems(study: Study) -> Problems:
    """Another model as teacher has states of another kind, and may have other tokens."""
    experiment = study.experiment
    for name, settings in experiment.teachers.items():
        if settings.model is not None:
            path = f"teachers.{name}.model"
            yield from unknown(settings.model, experiment.models, path, "model")
    for trained in _trained_terms(study):
        for teacher, teaching in trained.teachers.items():
            if trained.shared == "model" and teaching != trained.model:
                yield (
                    trained.path,
                    f"{trained.term.objective} compares states of one model, but teacher "
                    f"'{teacher}' of {trained.model} is {teaching}; use logit or label terms",
                )


def head_problems(study: Study) -> Problems:
    """A classification head knows the labels of the task that it was trained on only."""
    experiment = study.experiment
    for path, source, target in _evaluated_elsewhere(study):
        labels = labels_of(experiment.tasks[source].data)
        other = labels_of(experiment.tasks[target].data)
        for name, condition in experiment.conditions.items():
            if condition.head == "classification" and labels != other:
                yield (
                    path,
                    f"{name} has a classification head for {labels}, but {target} has "
                    f"{other}; give both the same labels in one order",
                )


def _evaluated_elsewhere(study: Study) -> Iterator[tuple[str, str, str]]:
    """(key path, trained task, other task) of each task that runs on another are evaluated on."""
    for source, targets in study.experiment.transfer.items():
        for index, target in enumerate(targets):
            yield f"transfer.{source}.{index}", source, target
    sources = dict.fromkeys(task for _, task in study.matrix.pairs_with_retention)
    for index, target in enumerate(study.experiment.retention):
        for source in sources:
            if target in study.matrix.retained_by(source):
                yield f"retention.{index}", source, target


def layer_problems(study: Study) -> Problems:
    experiment = study.experiment
    depths = {name: m.layers for name, m in experiment.models.items() if m.layers is not None}
    for name, condition in experiment.conditions.items():
        for path, term in terms_of(name, condition):
            states = reads_of(term).states
            if states is None or isinstance(states.layers, str):
                continue
            last = max(states.layers, default=0)
            for model, depth in depths.items():
                if last >= depth:
                    yield (
                        f"{path}.layers",
                        f"layer {last} does not exist: {model} has layers 0 to {depth - 1}",
                    )


def causal_teacher_problems(study: Study) -> Problems:
    """Terms that compare states or tokens need a causal model as teacher."""
    experiment = study.experiment
    for trained in _trained_terms(study):
        for teacher, teaching in trained.teachers.items():
            is_causal = experiment.models[teaching].architecture == "causal"
            if trained.shared is not None and not is_causal:
                yield (
                    trained.path,
                    f"{trained.term.objective} needs a teacher that is a causal model, but "
                    f"'{teacher}' is {teaching}; use uld or label_kl",
                )


@dataclass(frozen=True)
class _TrainedTerm:
    """A term of a condition that trains `model` on `task`. teachers: name → the model it is."""

    model: str
    task: str
    path: str
    term: Term
    teachers: dict[str, str]

    @property
    def shared(self) -> str | None:
        """What student and teacher must have in common; None if nothing, or without a teacher."""
        target = reads_of(self.term).target
        return None if target is None else KINDS[target.kind].shared


def _trained_terms(study: Study) -> Iterator[_TrainedTerm]:
    for model, task in product(study.experiment.models, study.experiment.tasks):
        for name in study.matrix.conditions_of(model, task):
            condition = study.experiment.conditions[name]
            for path, term in terms_of(name, condition):
                teachers = teachers_of(term, condition.teacher)
                teaching = {t: study.matrix.teaching_model(t, model) for t in teachers}
                yield _TrainedTerm(model, task, path, term, teaching)


def terms_of(name: str, condition: ConditionSettings) -> Iterator[tuple[str, Term]]:
    """(key path, term) of each term of a condition, in all its phases."""
    for number, phase in enumerate(trained_phases(condition)):
        place = f"conditions.{name}" + (f".phases.{number}" if condition.phases else "")
        for index, term in enumerate(phase.terms):
            yield f"{place}.terms.{index}", term


def _is_without_context(teacher: TeacherSettings) -> bool:
    return teacher.shots == 0 and teacher.system is None and teacher.item is None
