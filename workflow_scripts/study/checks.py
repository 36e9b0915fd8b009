"""What the sections of a config ask of each other, beyond what each of them may say.

A check yields (key path, what is wrong there) for each problem. It may rely on the checks before
it: names that those have looked up are there.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import product

from pydantic import ValidationError

from workflow_scripts.labels import labels_of
from workflow_scripts.recipes import signals_of
from workflow_scripts.settings import (
    DeltaHiddenTerm,
    SearchedField,
    StatesTerm,
    Term,
)
from workflow_scripts.study.catalog import BY_LAYER
from workflow_scripts.study.experiment import Experiment
from workflow_scripts.study.matrix import only_teaches
from workflow_scripts.study.refusals import error_lines
from workflow_scripts.study.sizes import GIGABYTE, bytes_at_most
from workflow_scripts.study.study import Study
from workflow_scripts.sweeps import with_fields
from workflow_scripts.tasks.shares import SPLITS, allot
from workflow_scripts.terms import LABEL_TERMS, signal_of, teachers_of
from workflow_scripts.training.micro_batches import share_of

# folders beside those of the models in an experiment's results
RESERVED = ("tasks", "figures", "exports", "searches", "logs", "benchmarks")

Problems = Iterator[tuple[str, str]]


def first_problem(study: Study) -> tuple[str, str] | None:
    """(key path, what is wrong there) of the first check that finds something."""
    return next((problem for check in CHECKS for problem in check(study)), None)


def _name_problems(study: Study) -> Problems:
    experiment = study.experiment
    for name in set(experiment.models) & set(RESERVED):
        yield f"models.{name}", "is the name of a folder of the results; rename it"
    for name in experiment.conditions:
        if re.fullmatch(r"\d+-shot", name):
            yield f"conditions.{name}", "names like this belong to the untouched model; rename it"


def _mixture_problems(study: Study) -> Problems:
    experiment = study.experiment
    for name in study.matrix.mixtures:
        task = experiment.tasks[name]
        for part in study.matrix.parts_of_mixture(name):
            path = f"tasks.{name}.data.mixture.{part}"
            yield from _unknown(part, experiment.tasks, path, "task")
            own = experiment.tasks[part]
            if own.data.mixture is not None:
                yield path, "is a mixture itself; name its tasks"
            if own.prompt != task.prompt:
                yield f"tasks.{part}.prompt", f"must be that of '{name}', which it is a part of"
            for split in SPLITS:
                taken = allot(getattr(task.data.items, split), task.data.mixture or {})[part]
                there = getattr(own.data.items, split)
                if taken > there:
                    yield (
                        path,
                        f"{taken} items for {split} are taken of it, but it has {there}; see "
                        f"tasks.{part}.data.items",
                    )


def _scratch_problems(study: Study) -> Problems:
    experiment = study.experiment
    for name in study.matrix.scratch_models:
        scratch = experiment.models[name].scratch
        for index, task in enumerate(scratch.tasks if scratch is not None else ()):
            path = f"models.{name}.scratch.tasks.{index}"
            yield from _unknown(task, experiment.tasks, path, "task")
            data = experiment.tasks[task].data
            if data.items.train == 0:
                yield path, f"nothing can be learned from {task}: its `data.items.train` is 0"
            if data.overflow == "exclude":
                yield path, f"{task} asks every model what does not fit, so none can be made of it"


def _architecture_problems(study: Study) -> Problems:
    """What models that only teach cannot do."""
    experiment = study.experiment
    for name, model in experiment.models.items():
        path = f"models.{name}"
        if model.architecture == "encoder-decoder" and model.engine in ("vllm", "server"):
            yield f"{path}.engine", "vLLM serves no encoder-decoder; use `transformers` or `auto`"
        if model.quantization is not None:
            for stage in ("icl_gap", "teachers"):
                if study.slices.resources_of(stage, name).gpu == 0:
                    yield (
                        f"{path}.quantization",
                        f"{model.quantization} needs a CUDA GPU, but jobs of `{stage}` ask for "
                        f"none; set {path}.resources.{stage}.gpu",
                    )
    for trained in _trained_terms(study):
        signal = signal_of(trained.term)
        for teacher, teaching in trained.teachers.items():
            is_causal = experiment.models[teaching].architecture == "causal"
            if signal is not None and signal.kind in ("hidden", "logits") and not is_causal:
                yield (
                    trained.path,
                    f"{trained.term.objective} needs a teacher that is a causal model, but "
                    f"'{teacher}' is {teaching}; use uld or label_kl",
                )


def _shot_problems(study: Study) -> Problems:
    experiment = study.experiment
    for name, task in experiment.tasks.items():
        path = "shots" if task.shots is None else f"tasks.{name}.shots"
        shots = study.matrix.shots_of(name)
        if 0 not in shots:
            yield path, "must contain 0: the untouched model is every student's step 0"
        pool = task.data.items.demonstrations
        wanted = [(path, max(shots, default=0))]
        wanted += [
            (f"teachers.{teacher}.shots", study.slices.teacher_context(name, teacher).shots)
            for teacher in experiment.teachers
            if task.data.items.train
        ]
        for place, number in wanted:
            if number > pool:
                yield place, f"{number} shots, but tasks.{name} reserves {pool} demonstrations"
    targets = {name for names in experiment.transfer.values() for name in names}
    shown = {number for name in targets for number in study.matrix.transfer_shots_of(name)}
    for number in experiment.evaluation.transfer_shots:
        if targets and number not in shown:
            yield (
                "evaluation.transfer_shots",
                f"{number} shots, but no task under `transfer` is evaluated at as many; add "
                f"{number} to its `shots`",
            )


def _condition_problems(study: Study) -> Problems:
    experiment = study.experiment
    for name, condition in experiment.conditions.items():
        if condition.teacher is not None:
            yield from _unknown(
                condition.teacher, experiment.teachers, f"conditions.{name}.teacher", "teacher"
            )
        for index, term in enumerate(condition.terms):
            if isinstance(term, DeltaHiddenTerm):
                path = f"conditions.{name}.terms.{index}.reference"
                yield from _unknown(term.reference, experiment.teachers, path, "teacher")
                if experiment.teachers[term.reference].shots != 0:
                    yield path, f"'{term.reference}' must be a teacher without demonstrations"


def _label_problems(study: Study) -> Problems:
    """Label terms need labels on every task that they train on."""
    for trained in _trained_terms(study):
        labels = labels_of(study.experiment.tasks[trained.task].data)
        if isinstance(trained.term, LABEL_TERMS) and labels is None:
            yield (
                trained.path,
                f"{trained.term.objective} needs labels, but tasks.{trained.task}.data has neither "
                "`choices` nor `verbalizers`",
            )


def _teacher_problems(study: Study) -> Problems:
    """Another model as teacher has states of another kind, and may have other tokens."""
    experiment = study.experiment
    for name, settings in experiment.teachers.items():
        if settings.model is not None:
            path = f"teachers.{name}.model"
            yield from _unknown(settings.model, experiment.models, path, "model")
    for trained in _trained_terms(study):
        for teacher, teaching in trained.teachers.items():
            if isinstance(trained.term, StatesTerm) and teaching != trained.model:
                yield (
                    trained.path,
                    f"{trained.term.objective} compares states of one model, but teacher "
                    f"'{teacher}' of {trained.model} is {teaching}; use logit or label terms",
                )


def _head_problems(study: Study) -> Problems:
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


def _student_problems(study: Study) -> Problems:
    experiment = study.experiment
    for index, name in enumerate(experiment.students or ()):
        yield from _unknown(name, experiment.models, f"students.{index}", "model")
        if only_teaches(experiment.models[name]):
            yield (
                f"students.{index}",
                f"{name} is an encoder-decoder or quantized: such a model only teaches",
            )
    for key, condition in experiment.conditions.items():
        for index, name in enumerate(condition.models or ()):
            path = f"conditions.{key}.models.{index}"
            yield from _unknown(name, study.matrix.students, path, "student")
        for index, name in enumerate(condition.tasks or ()):
            path = f"conditions.{key}.tasks.{index}"
            yield from _unknown(name, experiment.tasks, path, "task")
            if experiment.tasks[name].data.items.train == 0:
                yield path, f"nothing is trained on {name}: its `data.items.train` is 0"
    if experiment.conditions:
        if experiment.training is None:
            yield "training", "is required where there are conditions"
        if not any(task.data.items.train for task in experiment.tasks.values()):
            yield "tasks", "none has `data.items.train` above 0, but the conditions train"


def _transfer_problems(study: Study) -> Problems:
    experiment = study.experiment
    for source, targets in experiment.transfer.items():
        path = f"transfer.{source}"
        yield from _unknown(source, experiment.tasks, path, "task")
        if experiment.tasks[source].data.items.train == 0:
            yield path, f"nothing is trained on {source}: its `data.items.train` is 0"
        for index, target in enumerate(targets):
            yield from _unknown(target, experiment.tasks, f"{path}.{index}", "task")
            if target == source:
                yield f"{path}.{index}", "a task does not transfer to itself"


def _layer_problems(study: Study) -> Problems:
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


def _batch_problems(study: Study) -> Problems:
    """The GPUs that train a model share the examples of a step equally."""
    experiment = study.experiment
    for name, model in experiment.models.items():
        if not any(study.matrix.conditions_of(name, task) for task in experiment.tasks):
            continue
        assert experiment.training is not None
        path = "training.micro_batch_size"
        if model.micro_batch_size is not None:
            path = f"models.{name}.micro_batch_size"
        elif experiment.training.micro_batch_size is None:
            path = "training.batch_size"
        micro = model.micro_batch_size or experiment.training.micro_batch_size
        training = experiment.training.model_copy(update={"micro_batch_size": micro})
        try:
            share_of(training, max(1, study.slices.resources_of("training", name).gpu))
        except ValueError as error:
            yield path, f"{error}, which train {name}"


def _family_problems(study: Study) -> Problems:
    experiment = study.experiment
    known = study.matrix.names
    for key, family in experiment.families.items():
        for name in family.members:
            yield from _unknown(name, known, f"families.{key}.members", "result")
        if experiment.representations is None and BY_LAYER & set(family.figures):
            yield f"families.{key}.figures", "teacher_distance and drift need `representations`"


def _search_problems(study: Study) -> Problems:
    experiment = study.experiment
    for name, search in experiment.searches.items():
        path = f"searches.{name}"
        known = experiment.conditions
        yield from _unknown(search.condition, known, f"{path}.condition", "condition")
        if search.model is not None:
            yield from _unknown(search.model, experiment.models, f"{path}.model", "model")
        if search.task is not None:
            yield from _unknown(search.task, experiment.tasks, f"{path}.task", "task")
        runs = study.matrix.searched(search)
        if not runs:
            yield path, f"nothing is trained under {search.condition} with this model and task"
        if len(runs) > 1:
            several = ", ".join(f"{run.model} on {run.task}" for run in runs)
            yield path, f"give `model` and `task`: {search.condition} trains {several}"
        for field, values in search.fields.items():
            for problem in _searched_field_problems(experiment, search.condition, field, values):
                yield f"{path}.fields.{field}", problem


def _searched_field_problems(
    experiment: Experiment, condition: str, field: str, values: SearchedField
) -> Iterator[str]:
    assert experiment.training is not None
    base = experiment.conditions[condition]
    if field in ("label", "models", "tasks"):
        yield "changes nothing that is trained"
    # the ends of a range stand for all that is between
    tried = values.choices or [end for end in (values.low, values.high) if end is not None]
    for value in tried:
        try:
            varied = with_fields(base, {field: value}, experiment.training.adapter)
        except KeyError as error:
            yield str(error.args[0])
        except ValidationError as error:
            yield f"{value!r} does not fit there: {error_lines(error)[0]}"
        else:
            if signals_of(varied) != signals_of(base):
                yield "would need other signals of a teacher; vary it with a sweep"


def _disk_problems(study: Study) -> Problems:
    experiment = study.experiment
    needs = {
        signal: bytes_at_most(study.slices, signal) or 0
        for model, task in product(experiment.models, experiment.tasks)
        for signal in study.matrix.signals_of(model, task)
    }
    total = sum(needs.values()) / GIGABYTE
    if total > experiment.max_signal_gb:
        largest = max(needs, key=lambda signal: needs[signal])
        yield (
            "max_signal_gb",
            f"the signals may need {total:,.1f} GB of disk, more than "
            f"{experiment.max_signal_gb:g}, {needs[largest] / GIGABYTE:,.1f} GB for "
            f"{'/'.join(largest.key.values())} alone; raise the limit or read fewer items, "
            "positions or logits",
        )


# in this order: a check relies on those before it
CHECKS: tuple[Callable[[Study], Problems], ...] = (
    _name_problems,
    _mixture_problems,
    _transfer_problems,
    _shot_problems,
    _condition_problems,
    _student_problems,
    _scratch_problems,
    _teacher_problems,
    _architecture_problems,
    _label_problems,
    _head_problems,
    _layer_problems,
    _batch_problems,
    _family_problems,
    _search_problems,
    _disk_problems,
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


def _unknown(name: str, known: Iterable[str], path: str, kind: str) -> Problems:
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        valid = near[0] if near else ", ".join(known) or "none is defined"
        yield path, f"no {kind} named '{name}'; valid here: {valid}"
