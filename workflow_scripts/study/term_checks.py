"""What the terms of conditions ask of teachers, models and tasks. See `checks.py`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from workflow_scripts.config.terms import DeltaHiddenTerm, StatesTerm, Term
from workflow_scripts.prompts.label_tokens import labels_of
from workflow_scripts.study.refusals import unknown
from workflow_scripts.study.study import Study
from workflow_scripts.terms import LABEL_TERMS, target_of, teachers_of

Problems = Iterator[tuple[str, str]]


def reference_problems(study: Study) -> Problems:
    experiment = study.experiment
    for name, condition in experiment.conditions.items():
        if condition.teacher is not None:
            yield from unknown(
                condition.teacher, experiment.teachers, f"conditions.{name}.teacher", "teacher"
            )
        for index, term in enumerate(condition.terms):
            if isinstance(term, DeltaHiddenTerm):
                path = f"conditions.{name}.terms.{index}.reference"
                yield from unknown(term.reference, experiment.teachers, path, "teacher")
                if experiment.teachers[term.reference].shots != 0:
                    yield path, f"'{term.reference}' must be a teacher without demonstrations"


def label_problems(study: Study) -> Problems:
    """Label terms need labels on every task that they train on."""
    for trained in _trained_terms(study):
        labels = labels_of(study.experiment.tasks[trained.task].data)
        if isinstance(trained.term, LABEL_TERMS) and labels is None:
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
            if isinstance(trained.term, StatesTerm) and teaching != trained.model:
                yield (
                    trained.path,
                    f"{trained.term.objective} compares states of one model, but teacher "
                    f"'{teacher}' of {trained.model} is {teaching}; use logit or label terms",
                )


def head_problems(study: Study) -> Problems:
    """A classification head knows the labels of the task that it was trained on only."""
    experiment = study.experiment
    for source, targets in experiment.transfer.items():
        labels = labels_of(experiment.tasks[source].data)
        for index, target in enumerate(targets):
            other = labels_of(experiment.tasks[target].data)
            for name, condition in experiment.conditions.items():
                if condition.head == "classification" and labels != other:
                    yield (
                        f"transfer.{source}.{index}",
                        f"{name} has a classification head for {labels}, but {target} has "
                        f"{other}; give both the same labels in one order",
                    )


def layer_problems(study: Study) -> Problems:
    experiment = study.experiment
    depths = {name: m.layers for name, m in experiment.models.items() if m.layers is not None}
    for name, condition in experiment.conditions.items():
        for index, term in enumerate(condition.terms):
            if not isinstance(term, StatesTerm) or isinstance(term.layers, str):
                continue
            for model, depth in depths.items():
                if max(term.layers, default=0) >= depth:
                    yield (
                        f"conditions.{name}.terms.{index}.layers",
                        f"layer {max(term.layers)} does not exist: {model} has layers "
                        f"0 to {depth - 1}",
                    )


def causal_teacher_problems(study: Study) -> Problems:
    """Terms that read hidden states or logits need a causal model as teacher."""
    experiment = study.experiment
    for trained in _trained_terms(study):
        target = target_of(trained.term)
        for teacher, teaching in trained.teachers.items():
            is_causal = experiment.models[teaching].architecture == "causal"
            if target is not None and target.kind in ("hidden", "logits") and not is_causal:
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


def _trained_terms(study: Study) -> Iterator[_TrainedTerm]:
    for model, task in product(study.experiment.models, study.experiment.tasks):
        for name in study.matrix.conditions_of(model, task):
            condition = study.experiment.conditions[name]
            for index, term in enumerate(condition.terms):
                teachers = teachers_of(term, condition.teacher)
                teaching = {t: study.matrix.teaching_model(t, model) for t in teachers}
                yield _TrainedTerm(model, task, f"conditions.{name}.terms.{index}", term, teaching)
