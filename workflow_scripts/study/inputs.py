"""The files that each rule reads, and the index that tells its job what each of them is.

A set of results is defined once; its files, its index and its names follow from that.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from workflow_scripts.runtime.cli import packed
from workflow_scripts.runtime.files import expanded
from workflow_scripts.study.catalog import Catalog
from workflow_scripts.study.config_files import local_path
from workflow_scripts.study.passes import Passes
from workflow_scripts.study.results import Result
from workflow_scripts.study.wildcards import of_wildcards
from workflow_scripts.tasks.readers import READERS

# suffixes of the files that a model is read from
_OF_MODELS = (".safetensors", ".json", ".model", ".txt", ".jinja")


class ResultSet:
    """Results that a rule reads files of; its methods give the rule functions of wildcards."""

    def __init__(self, results: Callable[..., Sequence[Result]]) -> None:
        """results: function of named wildcards, mostly of a model and a task."""
        self._results: Callable[[Any], Sequence[Result]] = of_wildcards(results)

    def files(self, kind: str) -> Callable[[Any], list[str]]:
        """Paths of the files of this kind; results without one are left out."""

        def files_of(wildcards: Any) -> list[str]:
            results = self._results(wildcards)
            # transfers of one run share their files
            return list(dict.fromkeys(path for r in results for path in r.files(kind).values()))

        return files_of

    def names(self, wildcards: Any) -> str:
        """The results in order, as JSON; a rule with an index has them as a parameter too.

        An index is made from inputs, and Snakemake reruns nothing when such a parameter changes.
        """
        return packed(json.dumps([result.entry() for result in self._results(wildcards)]))

    def index(self, *kinds: str) -> Callable[[Any, Iterable[str]], str]:
        """The results with their files of these kinds, as the rule's input names them, as JSON."""

        def index_of(wildcards: Any, input: Iterable[str]) -> str:
            results = self._results(wildcards)
            planned = {path for result in results for path in result.files(*kinds).values()}
            given = {path: file for file in input if (path := planned_path(file, planned))}
            return packed(json.dumps([result.entry(*kinds, given=given) for result in results]))

        return index_of


def planned_path(file: str, planned: Collection[str]) -> str | None:
    """The planned path of an input; None where the input is not among the planned.

    A workflow that imports this one as a module may put a prefix before every path.
    """
    parts = file.split("/")
    ends = ("/".join(parts[start:]) for start in range(len(parts)))
    return next((path for path in ends if path in planned), None)


class Inputs:
    """Inputs of rules that depend on settings."""

    def __init__(self, catalog: Catalog, passes: Passes) -> None:
        self.catalog = catalog
        self.supervision = supervision = passes.supervision
        self.matrix = catalog.matrix
        self.experiment = catalog.experiment
        self.layout = catalog.layout
        matrix = self.matrix
        # of a model on a task
        self.base_results = ResultSet(matrix.base_results_of)
        self.results = ResultSet(matrix.results_of)
        self.evaluated = ResultSet(matrix.evaluated_of)
        self.foreign = ResultSet(matrix.foreign_of)
        self.runs = ResultSet(matrix.runs_of)
        self.candidate_runs = ResultSet(matrix.candidate_runs_of)
        self.retained_results = ResultSet(matrix.retained_results_of)
        self.own_results = ResultSet(matrix.own_results_of)
        self.repeated_runs = ResultSet(matrix.repeated_runs_of)
        self.repeats = ResultSet(matrix.repeats_of)
        self.states = ResultSet(catalog.states_of)
        self.targets = ResultSet(passes.described_shards_of)
        self.generated = ResultSet(supervision.generated_of)
        self.exemplary = ResultSet(supervision.exemplary_of)
        self.logged_runs = ResultSet(catalog.figure_logs)
        # of a model
        self.domain_results = ResultSet(matrix.domain_results_of)

    def of_all(self, results: Callable[[str, str], Sequence[Result]], name: str) -> list[str]:
        """The files of this name of all results, over all models and tasks."""
        pairs = product(self.experiment.models, self.experiment.tasks)
        found = (result.file(name) for pair in pairs for result in results(*pair))
        return list(dict.fromkeys(found))

    # models and tasks

    def model(self, model: str) -> str:
        return self.layout.model(model)

    def models(self) -> list[str]:
        """Of the models that run here."""
        return [self.layout.model(model) for model in self.matrix.models_here]

    def train_split(self, task: str) -> str:
        return self.layout.task("train.parquet", task)

    def validation(self, model: str, task: str) -> str:
        return self._evaluated(model, task, "validation")

    def test(self, model: str, task: str) -> str:
        return self._evaluated(model, task, "test")

    # of each other task that runs on a task are evaluated on, in the order of the config

    def demonstrations_elsewhere(self, task: str) -> list[str]:
        others = self.matrix.transfers_from(task)
        return [self.layout.task("demonstrations.parquet", other) for other in others]

    def validation_elsewhere(self, model: str, task: str) -> list[str]:
        return [self.validation(model, other) for other in self.matrix.transfers_from(task)]

    def test_elsewhere(self, model: str, task: str) -> list[str]:
        return [self.test(model, other) for other in self.matrix.transfers_from(task)]

    def agreed_elsewhere(self, model: str, task: str) -> list[str]:
        others = self.matrix.transfers_from(task)
        return [file for other in others for file in self.agreed(model, other)]

    def base_elsewhere(self, model: str, task: str, draw: int) -> list[str]:
        """The base model's completions after each number of the same demonstrations."""
        return [
            self.layout.base("completions.parquet", model, other, shots, shown)
            for other, numbers in self.matrix.transfers_from(task).items()
            for shots in numbers
            for shown in [draw if draw in self.matrix.draws_of_shots(shots) else None]
        ]

    def represented_split(self, model: str, task: str) -> str:
        """The items whose hidden states are read."""
        assert self.experiment.representations is not None
        return self._evaluated(model, task, self.experiment.representations.split)

    def _evaluated(self, model: str, task: str, split: str) -> str:
        """The examples of a split, with the reference's answers where it has no labels."""
        reference = self.supervision.reference_of(model, task, split)
        if split in self.experiment.tasks[task].data.unlabelled and reference is not None:
            return reference.file("examples.parquet")
        return self.layout.task(f"{split}.parquet", task)

    def agreed(self, model: str, task: str) -> list[str]:
        """The reference's answers on validation, where agreement with them chooses checkpoints."""
        reference = self.supervision.reference_of(model, task, "validation")
        by_agreement = self.experiment.evaluation.choose_by == "agreement"
        return [reference.file("examples.parquet")] if by_agreement and reference else []

    def examples_of_scratch(self, model: str) -> list[str]:
        """Training items of a model that is trained from scratch."""
        scratch = self.experiment.models[model].scratch
        assert scratch is not None
        return [self.train_split(task) for task in scratch.tasks]

    def examples_of_mixture(self, task: str) -> list[str]:
        """The splits of each task that the mixture is made of, in its order."""
        components = self.matrix.components_of_mixture(task)
        return [file for name in components for file in self.layout.splits(name)]

    def overflow(self, task: str) -> list[str]:
        """The items that fit no context, for a task that leaves them out."""
        excludes = self.experiment.tasks[task].data.overflow == "exclude"
        return [self.layout.task("overflow.json", task)] if excludes else []

    def source_files(self, task: str) -> list[str]:
        """The task's files where its source is local, so that an edit to them remakes the task."""
        source = self.experiment.tasks[task].data.source
        path = local_path(source)
        if path is None:
            return []
        if not path.is_dir():
            return _named(source, [path])
        return _named(source, [file for file in sorted(path.iterdir()) if file.suffix in READERS])

    def model_files(self, model: str) -> list[str]:
        """Files of a model whose source is local, so that a change of them fetches it again."""
        source = self.experiment.models[model].source
        folder = local_path(source)
        files = [] if folder is None else sorted(folder.glob("*"))
        return _named(source, [file for file in files if file.suffix in _OF_MODELS])

    def foreign_file(self, model: str, task: str, foreign: str, number: int) -> list[str]:
        """The file of a result that was made elsewhere."""
        settings = self.matrix.foreign_settings(model, task, foreign)
        file = settings.file or settings.files[number]
        return _named(file, [expanded(file)])

    # teachers and generated answers

    def answered_split(self, task: str, split: str) -> str:
        """The questions that a teacher answers."""
        return self.layout.task(f"{split}.parquet", task)

    def teaching_model(self, model: str, task: str, data: str, teacher: str, draw: int) -> str:
        """The model that a teacher's targets are read from."""
        read, *_ = self.supervision.targets_in(model, task, data, teacher, draw)
        return self.layout.model(read.teaching)

    def examples_of_targets(self, model: str, task: str, data: str) -> str:
        """The examples that a teacher's targets are of."""
        if not data:
            return self.train_split(task)
        return self.layout.pair(f"{data}examples.parquet", model, task)


def _named(source: str, files: Sequence[Path]) -> list[str]:
    """The files as inputs; Snakemake's logs name these, but no home folder."""
    name_of = os.path.relpath if source.startswith("~") else str
    return [name_of(file) for file in files]
