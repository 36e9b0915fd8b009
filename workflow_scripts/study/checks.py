"""Checks of the sections of a config against each other.

A check yields (key path, message) for each problem. It may rely on the checks before it: names that
they looked up exist.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from workflow_scripts.config.conditions import ConditionSettings
from workflow_scripts.config.figures import BY_LAYER
from workflow_scripts.config.study import Experiment
from workflow_scripts.config.sweeps import SearchedField
from workflow_scripts.config.tasks import TaskSettings
from workflow_scripts.models.wheels import PINNED, is_pinned
from workflow_scripts.prompts.label_tokens import labels_of
from workflow_scripts.results.names import tuned, tuned_condition
from workflow_scripts.results.scorers import SCORERS
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import expanded
from workflow_scripts.runtime.wording import shortened
from workflow_scripts.study import answer_checks, term_checks
from workflow_scripts.study.comparison_groups import TUNED, pairs_among
from workflow_scripts.study.layout import is_table, is_taken_from_groups, is_taken_from_models
from workflow_scripts.study.matrix import only_teaches
from workflow_scripts.study.refusals import error_lines, unknown
from workflow_scripts.study.sizes import GIGABYTE, bytes_at_most
from workflow_scripts.study.study import Study
from workflow_scripts.study.supervision import MOST_SHARDS
from workflow_scripts.study.sweeps import single_sweeps
from workflow_scripts.study.term_checks import Problems
from workflow_scripts.tasks.shares import SPLITS, allot
from workflow_scripts.training.fields import written_with
from workflow_scripts.training.micro_batches import share_of
from workflow_scripts.training.terms import targets_of, trained_phases

# comparisons of one group on one task; each is tested for every seed
MOST_PAIRS = 10_000


def first_problem(study: Study) -> tuple[str, str] | None:
    """(key path, message) of the first problem."""
    return next((problem for check in CHECKS for problem in check(study)), None)


def _name_problems(study: Study) -> Problems:
    experiment = study.experiment
    folder, models = study.layout.folder, str(Path(study.layout.model()).parents[1])
    if _is_within(folder, models) or _is_within(models, folder):
        yield "results", f"{folder} and {models}, the folder of models, overlap; choose another"
    for name in filter(is_taken_from_models, experiment.models):
        yield f"models.{name}", "is reserved for a file or folder of the results; rename the model"
    for name in filter(is_table, experiment.tasks):
        yield f"tasks.{name}", "`.csv` is reserved for tables of the results; rename the task"
    for name in filter(is_taken_from_groups, experiment.comparisons):
        ending = name.rpartition(".")[2]
        yield (
            f"comparisons.{name}",
            f"`.{ending}` is reserved for files of figures; rename the group",
        )
    for name in experiment.conditions:
        if re.fullmatch(r"\d+-shot", name):
            yield (
                f"conditions.{name}",
                "`<k>-shot` is reserved for results of the base model; rename the condition",
            )


def _wheel_problems(study: Study) -> Problems:
    for name, model in study.experiment.models.items():
        kind, _, requirement = model.source.partition(":")
        if kind == "wheel" and not is_pinned(requirement):
            yield f"models.{name}.source", f"{PINNED} (given: {model.source!r})"


def _home_problems(study: Study) -> Problems:
    """Sources in the home folder of a user who has none."""
    experiment = study.experiment
    sources = {f"models.{name}.source": m.source for name, m in experiment.models.items()}
    for name, task in experiment.tasks.items():
        sources[f"tasks.{name}.data.source"] = task.data.source
        if task.scoring.encoder is not None:
            sources[f"tasks.{name}.scoring.encoder.source"] = task.scoring.encoder.source
    sources |= _foreign_files(experiment)
    for path, source in sources.items():
        try:
            expanded(source)
        except InputError as error:
            yield path, str(error)


def _is_within(path: str, folder: str) -> bool:
    return not os.path.relpath(path, folder).startswith("..")


def _scoring_problems(study: Study) -> Problems:
    for name, task in study.experiment.tasks.items():
        path = f"tasks.{name}.scoring.scorer"
        yield from unknown(task.scoring.scorer, SCORERS, path, "scorer")
        yield from ((path, problem) for problem in _unmet_needs(task))


def _unmet_needs(task: TaskSettings) -> Iterator[str]:
    """Needs of the task's scorer: labels, references, an encoder, a mixture."""
    data, encoder, named = task.data, task.scoring.encoder, f"`{task.scoring.scorer}`"
    scorer, has_labels = SCORERS[task.scoring.scorer], labels_of(data) is not None
    if scorer.labels and not has_labels:
        yield f"{named} needs labels; set `data.choices` or `data.verbalizers`"
    if scorer.graded and has_labels:
        yield f"{named} is for free text, but the task has labels; use {_scorers_with('labels')}"
    if scorer.references and data.fields.references is None:
        yield f"{named} needs `data.fields.references`, the column of the texts it looks for"
    if scorer.mixture and data.mixture is None:
        yield f"{named} is for mixtures only; use another scorer"
    if data.mixture is not None and not scorer.mixture:
        yield f"a mixture is scored by its tasks; use {_scorers_with('mixture')}"
    if scorer.encoder and encoder is None:
        yield f"{named} needs `scoring.encoder`, a BERT-like model"
    if encoder is not None and not scorer.encoder:
        yield f"{named} has no encoder; remove `encoder`, or use {_scorers_with('encoder')}"


def _scorers_with(need: str) -> str:
    return " or ".join(f"`{name}`" for name, row in SCORERS.items() if getattr(row, need))


def _source_problems(study: Study) -> Problems:
    """Snakemake takes braces in the name of an input for a wildcard."""
    for task in study.matrix.plain_tasks:
        path = f"tasks.{task}.data.source"
        try:
            files = study.inputs.source_files(task)
        except OSError as error:
            yield path, f"cannot be read ({error.strerror})"
            return
        for file in files:
            if re.search(r"[{}\x00-\x1f]", file):
                yield path, f"{shortened(file)} has braces or a line break in its name; rename it"


def _mixture_problems(study: Study) -> Problems:
    experiment = study.experiment
    for name in study.matrix.mixtures:
        task = experiment.tasks[name]
        for component in study.matrix.components_of_mixture(name):
            path = f"tasks.{name}.data.mixture.{component}"
            yield from unknown(component, experiment.tasks, path, "task")
            own = experiment.tasks[component]
            if own.data.mixture is not None:
                yield path, "is itself a mixture; list its tasks instead"
            if own.prompt != task.prompt:
                yield (
                    f"tasks.{component}.prompt",
                    f"must equal `tasks.{name}.prompt`, its mixture's",
                )
            for split in SPLITS:
                taken = allot(getattr(task.data.items, split), task.data.mixture or {})[component]
                there = getattr(own.data.items, split)
                if taken > there:
                    yield (
                        path,
                        f"the mixture takes {taken} {split} items, but there are {there}; raise "
                        f"tasks.{component}.data.items.{split} or lower the weight",
                    )


def _scratch_problems(study: Study) -> Problems:
    experiment = study.experiment
    for name in study.matrix.scratch_models:
        scratch = experiment.models[name].scratch
        for index, task in enumerate(scratch.tasks if scratch is not None else ()):
            path = f"models.{name}.scratch.tasks.{index}"
            yield from unknown(task, experiment.tasks, path, "task")
            data = experiment.tasks[task].data
            if data.items.train == 0:
                yield path, _no_training_items(task)
            if data.overflow == "exclude":
                yield (
                    path,
                    f"tasks.{task} has `overflow: exclude`, which needs every model's tokenizer "
                    "before the task exists; a model cannot be pretrained on it. Use "
                    "`overflow: refuse` or another task",
                )


def _architecture_problems(study: Study) -> Problems:
    """Limits of encoder-decoders and quantized models."""
    experiment = study.experiment
    for name, model in experiment.models.items():
        path = f"models.{name}"
        if model.architecture == "encoder-decoder" and model.engine in ("vllm", "server"):
            yield f"{path}.engine", "vLLM runs no encoder-decoder; use `transformers` or `auto`"
        if model.quantization is not None:
            for stage in ("icl_gap", "teachers"):
                if study.resources.of(stage, name).gpu == 0:
                    yield (
                        f"{path}.quantization",
                        f"{model.quantization} needs a CUDA GPU, but `{stage}` jobs request none; "
                        f"set {path}.resources.{stage}.gpu",
                    )


def _shot_problems(study: Study) -> Problems:
    experiment = study.experiment
    for name, task in experiment.tasks.items():
        path = "shots" if task.shots is None else f"tasks.{name}.shots"
        shots = study.matrix.shots_of(name)
        if 0 not in shots and study.matrix.models_here:
            yield path, "must contain 0, the base model that every student starts from"
        pool = task.data.items.demonstrations
        wanted = [(path, max(shots, default=0))]
        wanted += [
            (f"teachers.{teacher}.shots", study.matrix.teacher_shots(name, teacher))
            for teacher in experiment.teachers
            if task.data.items.train
        ]
        for place, number in wanted:
            if number > pool:
                yield (
                    place,
                    f"{number} shots need more than the {pool} demonstrations of tasks.{name}; "
                    "raise its `data.items.demonstrations`",
                )
    targets = {name for names in experiment.transfer.values() for name in names}
    shown = {number for name in targets for number in study.matrix.transfer_shots_of(name)}
    for number in experiment.evaluation.transfer_shots:
        if targets and number not in shown:
            yield (
                "evaluation.transfer_shots",
                f"no task under `transfer` is evaluated with {number} shots; add {number} to its "
                "`shots`",
            )


def _student_problems(study: Study) -> Problems:
    experiment = study.experiment
    for index, name in enumerate(experiment.students or ()):
        yield from unknown(name, experiment.models, f"students.{index}", "model")
        if only_teaches(experiment.models[name]):
            yield (
                f"students.{index}",
                f"{name} is an encoder-decoder or quantized and can only teach; remove it",
            )
    for key, condition in experiment.conditions.items():
        for index, name in enumerate(condition.models or ()):
            path = f"conditions.{key}.models.{index}"
            yield from unknown(name, study.matrix.students, path, "student")
        for index, name in enumerate(condition.tasks or ()):
            path = f"conditions.{key}.tasks.{index}"
            yield from unknown(name, experiment.tasks, path, "task")
            if experiment.tasks[name].data.items.train == 0:
                yield path, _no_training_items(name)
    if experiment.conditions:
        if experiment.training is None:
            yield "training", "is required if there are conditions"
        if not any(task.data.items.train for task in experiment.tasks.values()):
            yield "tasks", "none has training items for the conditions; set `data.items.train`"


def _no_training_items(task: str) -> str:
    return f"{task} has no training items; set tasks.{task}.data.items.train or use another task"


def _transfer_problems(study: Study) -> Problems:
    experiment = study.experiment
    for source, targets in experiment.transfer.items():
        path = f"transfer.{source}"
        yield from unknown(source, experiment.tasks, path, "task")
        if experiment.tasks[source].data.items.train == 0:
            yield path, _no_training_items(source)
        for index, target in enumerate(targets):
            yield from unknown(target, experiment.tasks, f"{path}.{index}", "task")
            if target == source:
                yield f"{path}.{index}", "a task does not transfer to itself; remove it"


def _retention_problems(study: Study) -> Problems:
    trained = {
        task
        for model, task in product(study.experiment.models, study.experiment.tasks)
        if study.matrix.conditions_of(model, task)
    }
    for index, name in enumerate(study.experiment.retention):
        path = f"retention.{index}"
        yield from unknown(name, study.experiment.tasks, path, "task")
        if not any(name in study.matrix.retained_by(task) for task in trained):
            yield (
                path,
                f"no run is trained on a task without {name}, so none can forget it; remove it, or "
                "train on another task",
            )


def _batch_problems(study: Study) -> Problems:
    """The GPUs that train a model split each step's examples evenly."""
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
            share_of(training, max(1, study.resources.of("training", name).gpu))
        except ValueError as error:
            yield path, f"{error}, which train {name}"


def _elsewhere_problems(study: Study) -> Problems:
    """Models that do not run here: they neither train nor teach, and others wrote their results."""
    experiment, here = study.experiment, study.matrix.models_here
    for name in experiment.models:
        if name not in here and not any(own.model == name for own in experiment.results_from):
            yield (
                f"models.{name}.source",
                f"{name} does not run here and has no result under `results_from`; give one, or "
                "its source",
            )
    asked = {f"students.{index}": name for index, name in enumerate(experiment.students or ())}
    for name, teacher in experiment.teachers.items():
        asked[f"teachers.{name}.model"] = teacher.model or ""
    for path, model in asked.items():
        if model in experiment.models and model not in here:
            yield path, f"{model} has `source: elsewhere` and does not run here; give its source"
    if experiment.conditions and not here:
        yield "conditions", "no model runs here to be trained; remove them, or give a source"


def _foreign_problems(study: Study) -> Problems:
    """Results that were made elsewhere."""
    experiment = study.experiment
    earlier: dict[tuple[str, str, str], int] = {}
    for index, foreign in enumerate(experiment.results_from):
        path = f"results_from.{index}"
        yield from unknown(foreign.model, experiment.models, f"{path}.model", "model")
        yield from unknown(foreign.task, experiment.tasks, f"{path}.task", "task")
        if re.fullmatch(r"\d+-shot", foreign.name) or "~" in foreign.name:
            yield (
                f"{path}.name",
                "`<k>-shot` is reserved for results of the base model and `~` for variants of a "
                "sweep; rename it",
            )
        for section in ("conditions", "teachers"):
            if foreign.name in getattr(experiment, section):
                yield f"{path}.name", f"{section}.{foreign.name} has this name; rename it"
        place = earlier.setdefault((foreign.name, foreign.model, foreign.task), index)
        if place != index:
            yield (
                f"{path}.name",
                f"results_from.{place} has this name on {foreign.task} too; rename one, or give "
                "the files of several seeds as `files`",
            )
        if foreign.files and len(foreign.files) != len(experiment.seeds):
            yield (
                f"{path}.files",
                f"must be one for each of the study's {len(experiment.seeds)} `seeds` (given: "
                f"{len(foreign.files)}); give as many, or one as `file`",
            )
    for path, file in _foreign_files(experiment).items():
        if not expanded(file).is_file():
            yield path, f"{shortened(file)} is no file; paths begin where snakemake runs"


def _foreign_files(experiment: Experiment) -> dict[str, str]:
    """Key path → file of a result that was made elsewhere."""
    files: dict[str, str] = {}
    for index, foreign in enumerate(experiment.results_from):
        path = f"results_from.{index}"
        files |= {f"{path}.file": foreign.file} if foreign.file else {}
        files |= {f"{path}.files.{place}": file for place, file in enumerate(foreign.files)}
    return files


def _group_problems(study: Study) -> Problems:
    experiment = study.experiment
    known = study.matrix.names
    for key, group in experiment.comparisons.items():
        path = f"comparisons.{key}.members"
        for name in group.members:
            condition = tuned_condition(name)
            if condition in experiment.conditions and name not in known:
                yield path, f"'{name}' needs a sweep of {condition} with `choose: true`"
            else:
                yield from unknown(name, known, path, "result")
        if experiment.representations is None and set(BY_LAYER) & set(group.figures):
            yield (
                f"comparisons.{key}.figures",
                f"{' and '.join(BY_LAYER)} need the section `representations`",
            )
    for key, group in study.groups.all.items():
        pairs = pairs_among(len(group.members), group.design)
        if pairs > MOST_PAIRS:
            path = f"comparisons.{key}" if experiment.comparisons else "comparisons"
            yield (
                path,
                f"{len(group.members):,} members of '{key}' are {pairs:,} pairs, more than "
                f"{MOST_PAIRS:,}; set `design: first`, or compare fewer",
            )


def _tuning_problems(study: Study) -> Problems:
    """Sweeps that are chosen from on validation."""
    experiment = study.experiment
    for index, sweep in enumerate(experiment.sweeps):
        if not sweep.choose:
            continue
        path = f"sweeps.{index}.choose"
        if experiment.evaluation.choose_by == "last":
            yield path, "`evaluation.choose_by: last` has nothing on validation that chooses"
        for single in single_sweeps(sweep):
            name = tuned(single.condition or "")
            if name in experiment.conditions or name in experiment.teachers:
                yield path, f"`{name}` is the chosen variant; rename what has this name already"
    if TUNED in experiment.comparisons and study.groups.tuned_group(experiment.comparisons):
        yield (
            f"comparisons.{TUNED}",
            "is the name of the group of tuned conditions; name these as its members "
            f"({tuned('<condition>')}), or rename it",
        )


def _search_problems(study: Study) -> Problems:
    experiment = study.experiment
    for name, search in experiment.searches.items():
        path = f"searches.{name}"
        known = experiment.conditions
        yield from unknown(search.condition, known, f"{path}.condition", "condition")
        if search.model is not None:
            yield from unknown(search.model, experiment.models, f"{path}.model", "model")
        if search.task is not None:
            yield from unknown(search.task, experiment.tasks, f"{path}.task", "task")
        if study.supervision.is_in_rounds(search.condition):
            yield f"{path}.condition", "trains on its own answers, which a search does not make"
        runs = study.matrix.searched(search)
        if not runs:
            yield path, f"{search.condition} does not train this model on this task; change one"
        if len(runs) > 1:
            several = ", ".join(f"{run.model} on {run.task}" for run in runs)
            yield path, f"set `model` and `task`: {search.condition} trains {several}"
        for field, values in search.fields.items():
            for problem in _searched_field_problems(experiment, search.condition, field, values):
                yield f"{path}.fields.{field}", problem


def _searched_field_problems(
    experiment: Experiment, condition: str, field: str, values: SearchedField
) -> Iterator[str]:
    assert experiment.training is not None
    base = experiment.conditions[condition]
    if field in ("label", "models", "tasks"):
        yield "does not affect training; search another field"
    # the two ends are tried for the whole range
    tried = values.choices or [end for end in (values.low, values.high) if end is not None]
    for value in tried:
        try:
            written = written_with(base, {field: value}, experiment.training.adapter)
        except KeyError as error:
            yield str(error.args[0])
            continue
        try:
            varied = ConditionSettings.model_validate(written)
        except ValidationError as error:
            yield f"cannot be {shortened(value)}: {error_lines(error, written)[0]}"
        else:
            if _read_by(varied) != _read_by(base):
                yield "changes the teacher targets that are read; use a sweep"


def _read_by(condition: ConditionSettings) -> list[Any]:
    """The targets that each phase reads."""
    return [targets_of(phase.terms, condition.teacher) for phase in trained_phases(condition)]


def _shard_problems(study: Study) -> Problems:
    for model, task in product(study.experiment.models, study.experiment.tasks):
        for target in study.supervision.targets_of(model, task):
            shards = study.supervision.shard_count(target)
            if shards > MOST_SHARDS:
                yield (
                    "teacher_pass.shard_size",
                    f"{target.items:,} items of tasks.{task} would be {shards:,} shards, more "
                    f"than {MOST_SHARDS:,}; raise it",
                )


def _disk_problems(study: Study) -> Problems:
    experiment = study.experiment
    needs = {
        target: bytes_at_most(study.resources, target) or 0
        for model, task in product(experiment.models, experiment.tasks)
        for target in study.supervision.targets_of(model, task)
    }
    total = sum(needs.values()) / GIGABYTE
    if total > experiment.max_target_gb:
        largest = max(needs, key=lambda target: needs[target])
        yield (
            "max_target_gb",
            f"teacher targets may need {total:,.1f} GB of disk, more than "
            f"{experiment.max_target_gb:g}, {needs[largest] / GIGABYTE:,.1f} GB for "
            f"{largest.folder}{largest.name} alone; raise the limit, or read fewer items, "
            "positions or logits",
        )


# in this order: a check relies on the ones before it
CHECKS: tuple[Callable[[Study], Problems], ...] = (
    _name_problems,
    _wheel_problems,
    _home_problems,
    _scoring_problems,
    _source_problems,
    _mixture_problems,
    _transfer_problems,
    _elsewhere_problems,
    _shot_problems,
    term_checks.reference_problems,
    _student_problems,
    _retention_problems,
    _scratch_problems,
    term_checks.teacher_problems,
    _architecture_problems,
    term_checks.causal_teacher_problems,
    term_checks.label_problems,
    term_checks.head_problems,
    term_checks.layer_problems,
    answer_checks.label_problems,
    answer_checks.teacher_problems,
    answer_checks.column_problems,
    answer_checks.draw_problems,
    answer_checks.answer_problems,
    _batch_problems,
    answer_checks.recipe_problems,
    _foreign_problems,
    _group_problems,
    _tuning_problems,
    _search_problems,
    _shard_problems,
    _disk_problems,
)
