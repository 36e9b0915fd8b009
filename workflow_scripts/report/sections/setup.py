"""What was done: models, tasks, teachers, conditions and the recipe that they share."""

from __future__ import annotations

from workflow_scripts.report.document import Section, Table
from workflow_scripts.report.setup import (
    REPORTED,
    ReportSettings,
    condition_in_words,
    model_in_words,
    teacher_in_words,
    training_in_words,
)
from workflow_scripts.results import formatting as fmt
from workflow_scripts.results.names import is_main


def setup_section(settings: ReportSettings) -> Section:
    recipe = []
    if settings.training is not None:
        named = "Seed" if len(settings.seeds) == 1 else "Seeds"
        seeds = fmt.listed([str(seed) for seed in settings.seeds])
        recipe = [f"Training: {training_in_words(settings.training)}.", f"{named}: {seeds}."]
    if settings.draws > 1:
        recipe.append(f"Draws of demonstrations: {settings.draws}, disjoint.")
    if settings.training is not None:
        recipe.append(f"Reported: {REPORTED[settings.evaluation.choose_by]}.")
    models = [
        {"model": settings.model_label(name), "from": model_in_words(model)}
        for name, model in settings.models.items()
    ]
    return Section(
        id="setup",
        title="What was done",
        text=recipe,
        tables=[
            Table.of("Models", models),
            _tasks(settings),
            _teachers(settings),
            _conditions(settings, "Conditions", main=True),
        ],
        folded=[_conditions(settings, "Variants of conditions", main=False)],
    )


def _tasks(settings: ReportSettings) -> Table:
    rows = [
        {
            "task": settings.task_label(name),
            "from": task.data.source,
            "demonstrations": f"{task.data.items.demonstrations:,}",
            "training items": f"{task.data.items.train:,}",
            "validation items": f"{task.data.items.validation:,}",
            "test items": f"{task.data.items.test:,}",
            "shots": fmt.listed([str(shots) for shots in settings.shots_of(name)]),
            "without labels": fmt.listed(task.data.unlabelled),
            "scored as": _scored(settings, name),
        }
        for name, task in settings.tasks.items()
    ]
    return Table.of("Tasks", rows)


def _scored(settings: ReportSettings, task: str) -> str:
    scorer, names = settings.tasks[task].scoring.scorer, settings.scores_of(task)
    if names == fmt.ACCURACIES:
        return scorer
    strict = f"{scorer}, {names.strict}" if names.noun == "agreement" else names.strict
    return f"{strict} (flexibly: {names.flexible})"


def _teachers(settings: ReportSettings) -> Table:
    shown = settings.shown_at_most(settings.tasks)
    rows = [
        {"teacher": name, "what it is": teacher_in_words(teacher, shown, settings.draws)}
        for name, teacher in settings.teachers.items()
    ]
    return Table.of("Teachers", rows)


def _conditions(settings: ReportSettings, title: str, main: bool) -> Table:
    trained = [name for name, task in settings.tasks.items() if task.data.items.train]
    rows = [
        {
            "condition": name,
            "called": condition.label or "",
            "what it is trained on": condition_in_words(
                condition, settings.wordings, settings.shown_at_most(condition.tasks or trained)
            ),
        }
        for name, condition in settings.conditions.items()
        if is_main(name) == main
    ]
    return Table.of(title, rows)
