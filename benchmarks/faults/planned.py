"""Everything that the rules ask of a study, asked in process."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from pathlib import PurePath
from types import SimpleNamespace
from typing import get_args

from workflow_scripts.config.resources import Stage
from workflow_scripts.study.constraints import constraints
from workflow_scripts.study.layout import FIGURE_KINDS
from workflow_scripts.study.load import check_fetched_models, load_study
from workflow_scripts.study.results import GeneratedAnswers, Run, TargetShard, Transfer
from workflow_scripts.study.study import Study
from workflow_scripts.study.wildcards import as_json

# bytes of a file's name, with room for what partial files add
_LONGEST = 200


def plan_all(study: Study) -> list[str]:
    """Files that a study makes; asks for every input, slice, label and resource on the way.

    Raises whatever any of these does, and ValueError for files that cannot lie beside each other.
    """
    check_fetched_models(study)
    written = study.experiment.model_dump(mode="json")
    if load_study(written).experiment != study.experiment:
        raise ValueError("the study that jobs read is another one")
    files = [
        *_of_models(study),
        *_of_tasks(study),
        *_of_results(study),
        *_of_answers_and_targets(study),
        *_of_tables_and_figures(study),
        *_of_searches(study),
    ]
    _refuse_collisions(files)
    return files


def _of_models(study: Study) -> Iterator[str]:
    for model in study.experiment.models:
        as_json(study.slices.model(model))
        as_json(study.slices.features_asked(model))
        if model in study.matrix.scratch_models:
            as_json(study.slices.pretraining(model))
            study.inputs.examples_of_scratch(model)
        for stage in get_args(Stage):
            study.resources.of(stage, model)
        yield study.layout.model(model)


def _of_tasks(study: Study) -> Iterator[str]:
    for task in study.experiment.tasks:
        as_json(study.slices.data(task))
        as_json(study.slices.scoring(task))
        as_json(study.slices.overflow(task))
        study.inputs.overflow(task)
        if task in study.matrix.mixtures:
            study.inputs.examples_of_mixture(task)
        else:
            _refuse_patterns(study.inputs.source_files(task))
        yield from study.layout.splits(task)


def _refuse_patterns(files: list[str]) -> None:
    for file in files:
        if re.search(r"[{}\n\0]", file):
            raise ValueError(f"Snakemake takes {file!r} for a pattern")


def _of_results(study: Study) -> Iterator[str]:
    allowed = re.compile(constraints(study)["result"])
    for pair in _pairs(study):
        for result in study.matrix.results_of(*pair):
            folder = result.file("").removeprefix(study.layout.pair("", *pair)).rstrip("/")
            if not isinstance(result, Transfer) and not allowed.fullmatch(folder):
                raise ValueError(f"no rule makes {folder}")
            as_json(study.slices.completion(*pair))
            as_json(study.slices.predictions(pair[1]))
            study.inputs.validation(*pair)
            study.inputs.test(*pair)
            study.inputs.agreed(*pair)
            if isinstance(result, Run):
                yield from _of_run(study, result)
            yield result.file("predictions.parquet")
        for repeat in study.matrix.repeats_of(*pair):
            yield repeat.file("predictions.parquet")
        for states in study.catalog.states_of(*pair):
            as_json(study.slices.representation(pair[1]))
            study.inputs.represented_split(*pair)
            yield states.file("representations.parquet")


def _of_run(study: Study, run: Run) -> Iterator[str]:
    names = (run.model, run.task, run.condition, run.seed, run.draw or 0)
    rounds = study.supervision.is_in_rounds(run.condition)
    last = study.run_inputs.last_round(run.condition)
    for number in [*(str(n) for n in range(last) if rounds), ""]:
        study.run_inputs.examples(*names, round=number)
        study.run_inputs.targets(*names, round=number)
        study.run_inputs.teaching_models(*names, round=number)
        study.run_inputs.earlier(*names, round=number)
        if number:
            yield study.layout.round("checkpoints/manifest.json", *names[:4], run.draw, int(number))
    # the same for every seed
    if run.seed == study.experiment.seeds[0]:
        as_json(study.slices.run(*names))
        as_json(study.slices.export(*names, kept=(), command=""))
        study.slices.steps(*names[:3])
        if study.matrix.transfers_from(run.task):
            as_json(study.slices.completions_elsewhere(run.model, run.task, run.draw or 0))
            as_json(study.slices.predictions_elsewhere(run.task))
            study.slices.evaluations_elsewhere(*names[:3])
            study.inputs.demonstrations_elsewhere(run.task)
            study.inputs.validation_elsewhere(run.model, run.task)
            study.inputs.test_elsewhere(run.model, run.task)
            study.inputs.agreed_elsewhere(run.model, run.task)
            study.inputs.base_elsewhere(run.model, run.task, run.draw or 0)
        if rounds:
            as_json(study.slices.student_answers(*names[:4]))
            study.slices.items_of_round(run.task, run.condition)
            study.slices.items_of_student(run.task, run.condition)
    yield run.file("checkpoints/manifest.json")
    yield study.layout.export("README.md", *names[:4], run.draw)


def _of_answers_and_targets(study: Study) -> Iterator[str]:
    for pair in _pairs(study):
        for shard in study.passes.all_shards_of(*pair):
            yield from _of_shard(study, shard)
        for answers in study.supervision.generated_of(*pair):
            yield from _of_answers(study, answers)
        for split in ("validation", "test"):
            reference = study.supervision.reference_of(*pair, split)
            if reference is not None:
                yield from _of_answers(study, reference)


def _of_shard(study: Study, shard: TargetShard) -> Iterator[str]:
    target = shard.target
    place = (target.model, target.task, target.data, target.teacher, target.draw or 0)
    study.inputs.teaching_model(*place)
    study.inputs.examples_of_targets(*place[:3])
    as_json(study.slices.teacher(*place))
    as_json(study.passes.targets_of_pass(*place, shard.number))
    yield shard.file("manifest.json")
    yield shard.file(f"{target.name}.safetensors")


def _of_answers(study: Study, answers: GeneratedAnswers) -> Iterator[str]:
    as_json(study.slices.kept(answers.answered, answers.kept))
    if answers.round is None:
        _, _, generated, _ = answers.answered.split("/")
        names = (answers.model, answers.task, answers.author, answers.draw or 0)
        as_json(study.slices.teacher_answers(*names, generated))
    yield answers.file("answers.parquet")
    yield answers.file("examples.parquet")


def _of_tables_and_figures(study: Study) -> Iterator[str]:
    tables, catalog = study.tables, study.catalog
    for name in tables.names:
        tables.gathered_by(name)
        yield from tables.parts(name)
        for part in next(row for row in tables.rows if name in row.names).parts:
            wildcards = SimpleNamespace(
                table=name, **dict(zip(("model", "task"), part, strict=False))
            )
            tables.settings(wildcards)
            tables.results(wildcards)
            tables.arguments(wildcards, tables.files_read(wildcards), {})
    yield from tables.gathered
    for pair in _pairs(study):
        for figure in catalog.figures_of(*pair):
            catalog.figure_tables(*pair, figure)
            catalog.figure_labels(figure, *pair)
            catalog.figure_caption(figure)
            as_json(study.slices.figure(*pair, figure))
            yield from (study.layout.figure(kind, *pair, figure) for kind in FIGURE_KINDS)
            yield study.layout.figure("log", *pair, figure)
    study.slices.report()
    study.slices.summary()
    study.slices.identity()
    study.slices.wordings()
    yield from (study.layout.result(name) for name in ("report.html", "summary.md"))


def _of_searches(study: Study) -> Iterator[str]:
    for name in study.experiment.searches:
        run = study.matrix.searched_run(name)
        as_json(study.slices.search(name))
        study.run_inputs.examples(*run)
        study.resources.of("training", search=name)
        yield study.layout.search("best.yaml").format(search=name)


def _pairs(study: Study) -> list[tuple[str, str]]:
    return list(product(study.experiment.models, study.experiment.tasks))


def _refuse_collisions(files: list[str]) -> None:
    """Refuses a file where a folder must be, two files of one name, and names that are too long."""
    made = set(files)
    for file in made:
        for folder in PurePath(file).parents:
            if str(folder) in made:
                raise ValueError(f"{folder} is a file, and the folder of {file}")
        if longest := [part for part in PurePath(file).parts if len(part.encode()) > _LONGEST]:
            raise ValueError(f"{longest[0]} is too long for the name of a file")
