"""Checks of answers, contexts and draws against tasks and teachers. See `checks.py`."""

from __future__ import annotations

import re
from itertools import product

from workflow_scripts.runtime.errors import InputError
from workflow_scripts.study.refusals import unknown
from workflow_scripts.study.study import Study
from workflow_scripts.study.supervision import REFERENCE_SPLITS
from workflow_scripts.study.term_checks import Problems, terms_of
from workflow_scripts.study.texts import text_of
from workflow_scripts.training.terms import reads_answers, trained_phases

_FILTERS = ("min_agreement", "min_logprob", "surest")


def teacher_problems(study: Study) -> Problems:
    """A teacher's name is that of its result, and its texts and columns exist."""
    experiment = study.experiment
    for name, teacher in experiment.teachers.items():
        path = f"teachers.{name}"
        if re.search(r"-draw-\d+$|^\d+-shot$", name):
            yield path, "`-draw-<n>` and `<k>-shot` are reserved; rename the teacher"
        has_result = teacher.system is not None or teacher.item is not None
        if has_result and name in experiment.conditions:
            yield path, "has a result of its own, and so has the condition of this name; rename one"
        try:
            text_of(teacher.system)
        except InputError as error:
            yield f"{path}.system", str(error)
    for task, settings in experiment.tasks.items():
        for column in settings.data.columns:
            for key in ("system", "question", "plain_question", "plain_answer"):
                if f"{{{column}}}" in (getattr(settings.prompt, key) or ""):
                    yield (
                        f"tasks.{task}.prompt.{key}",
                        f"'{{{column}}}' would be shown to students too; a teacher shows the "
                        f"column by `item: {column}`",
                    )


def column_problems(study: Study) -> Problems:
    """Every task of a teacher with `item` keeps that column."""
    experiment = study.experiment
    for task, settings in experiment.tasks.items():
        read = [settings.reference] if settings.reference is not None else []
        for model in experiment.models:
            for condition in study.matrix.conditions_of(model, task):
                read += study.matrix.teachers_of(condition)
        for teacher in dict.fromkeys(read):
            column = experiment.teachers[teacher].item
            if column is not None and column not in settings.data.columns:
                yield (
                    f"teachers.{teacher}.item",
                    f"tasks.{task} keeps no column '{column}'; add it to its `data.columns`",
                )


def label_problems(study: Study) -> Problems:
    """Without labels, gold answers cannot be trained on and a reference stands for them."""
    experiment = study.experiment
    for name, settings in experiment.tasks.items():
        if settings.reference is not None:
            yield from unknown(
                settings.reference, experiment.teachers, f"tasks.{name}.reference", "teacher"
            )
        missing = [split for split in REFERENCE_SPLITS if split in settings.data.unlabelled]
        if missing and settings.reference is None:
            yield (
                f"tasks.{name}.reference",
                f"is required: `data.unlabelled` lists {missing[0]}, whose items need a teacher's "
                "answers in place of gold",
            )
        is_trained = any(study.matrix.conditions_of(m, name) for m in experiment.models)
        by_agreement = experiment.evaluation.choose_by == "agreement"
        if by_agreement and is_trained and settings.reference is None:
            yield (
                f"tasks.{name}.reference",
                "is required by `evaluation.choose_by: agreement`: the teacher to agree with",
            )
    yield from _gold_problems(study)


def _gold_problems(study: Study) -> Problems:
    experiment = study.experiment
    for model, task in product(experiment.models, experiment.tasks):
        if "train" not in experiment.tasks[task].data.unlabelled:
            continue
        for name in study.matrix.conditions_of(model, task):
            condition = experiment.conditions[name]
            gold = {
                f"conditions.{name}" + (f".phases.{number}" if condition.phases else "")
                for number, phase in enumerate(trained_phases(condition))
                if phase.train_on == "items" and phase.answers.by == "gold"
            }
            for path, term in terms_of(name, condition):
                if path.partition(".terms.")[0] in gold and reads_answers(term):
                    yield (
                        path,
                        f"{term.objective} needs the answers of tasks.{task}, whose training items "
                        "are `unlabelled`; set `answers: teacher` or `train_on: demonstrations`",
                    )


def answer_problems(study: Study) -> Problems:
    """Rounds divide the steps, and filters leave a batch."""
    experiment = study.experiment
    training = experiment.training
    if training is None:
        return
    for name, condition in experiment.conditions.items():
        for number, phase in enumerate(trained_phases(condition)):
            path = f"conditions.{name}" + (f".phases.{number}" if condition.phases else "")
            rounds = phase.answers.rounds
            if rounds is not None and (training.steps is None or training.steps % rounds):
                yield (
                    f"{path}.answers.rounds",
                    f"{rounds} rounds need `training.steps`, a multiple of {rounds}",
                )
            keep = phase.answers.keep
            filters = [name for name in _FILTERS if getattr(keep, name) is not None]
            if phase.train_items is not None and filters and rounds is None:
                yield (
                    f"{path}.train_items",
                    f"`answers.keep.{filters[0]}` chooses among the answers to all items; remove "
                    "one of the two",
                )
            share = keep.surest
            for task in _trained_tasks(study, name):
                items = study.matrix.train_items(task, phase)
                answers = items * phase.answers.samples
                if rounds is not None:
                    answers = study.supervision.items_of_round(task, name)
                if share is not None and int(answers * share) < training.batch_size:
                    yield (
                        f"{path}.answers.keep.surest",
                        f"keeps {int(answers * share)} of {answers} answers to tasks.{task}, fewer "
                        f"than a batch of {training.batch_size}; raise it",
                    )
        if condition.phases and training.steps is None:
            yield f"conditions.{name}.phases", "needs `training.steps`, not `epochs`"


def _trained_tasks(study: Study, condition: str) -> list[str]:
    return [
        task
        for task in study.experiment.tasks
        if any(condition in study.matrix.conditions_of(m, task) for m in study.experiment.models)
    ]


def draw_problems(study: Study) -> Problems:
    """The pool holds all draws, which are disjoint."""
    draws = study.experiment.draws
    for name, task in study.experiment.tasks.items():
        pool, shown = task.data.items.demonstrations, study.matrix.shown_at_most(name)
        if draws > 1 and draws * shown > pool:
            yield (
                "draws",
                f"{draws} draws of {shown} demonstrations need {draws * shown}, but tasks.{name} "
                f"has {pool}; raise its `data.items.demonstrations` or use fewer draws",
            )
        elif shown > pool:
            yield (
                f"tasks.{name}.data.items.demonstrations",
                f"the study shows or trains on {shown}, but there are {pool}; raise it",
            )


def recipe_problems(study: Study) -> Problems:
    """The steps of a condition's phases fit the steps of the training."""
    for model, task in product(study.experiment.models, study.experiment.tasks):
        for name in study.matrix.conditions_of(model, task):
            try:
                study.slices.run(model, task, name, study.experiment.seeds[0])
            except ValueError as error:
                yield f"conditions.{name}.phases", str(error)
