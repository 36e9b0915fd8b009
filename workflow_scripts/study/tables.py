"""The tables of a study: one row each, which says what `tables/<name>.py` makes it from.

A new table is a module of `workflow_scripts/tables/` with its caption, and a row here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from workflow_scripts.study.inputs import Inputs, ResultSet, planned_path
from workflow_scripts.study.slices import Slices
from workflow_scripts.study.wildcards import as_json, of_wildcards

_CAPTIONS = Path(__file__).parents[1] / "tables/captions"


class Index(NamedTuple):
    """Results whose files of these kinds a table is made from."""

    results: ResultSet
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table, made by `tables/<name>.py` for each of its parts and then gathered.

    does: what its jobs do, for the log.
    parts: names of the model, or of the model and the task, that it is made for.
    slices, indexes, files: arguments of the module, and what is given for each.
    comparisons: whether `<name>_comparisons.csv` is made by the same jobs.
    gathered_by: module that puts the parts together.
    """

    name: str
    does: str
    parts: Sequence[tuple[str, ...]]
    indexes: Mapping[str, Index]
    slices: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    files: Mapping[str, Callable[..., str]] = field(default_factory=dict)
    comparisons: bool = False
    gathered_by: str = "gather"

    @property
    def names(self) -> list[str]:
        """Its own name and that of the comparisons beside it."""
        return [self.name, f"{self.name}_comparisons"] if self.comparisons else [self.name]

    @property
    def is_of_model(self) -> bool:
        return all(len(part) == 1 for part in self.parts)


class Tables:
    """The tables of an experiment, and what the jobs that make them are given."""

    def __init__(self, inputs: Inputs, slices: Slices) -> None:
        self.inputs = inputs
        self.slices = slices
        self.layout = inputs.layout

    @cached_property
    def rows(self) -> tuple[Table, ...]:
        """The tables that this experiment has something for, in the order of the report."""
        return tuple(row for row in self._rows() if row.parts)

    def _rows(self) -> Iterator[Table]:
        inputs, slices, layout = self.inputs, self.slices, self.layout
        matrix, experiment = inputs.matrix, inputs.experiment
        analysis = {"settings": slices.analysis}
        predictions = {"index": Index(inputs.results, ("predictions",))}
        pairs = list(product(experiment.models, experiment.tasks))
        yield Table(
            "icl_gap",
            "measure the in-context gap",
            pairs,
            {"index": Index(inputs.base_results, ("predictions",))},
            analysis,
            files={"model": inputs.model},
            gathered_by="qualify",
        )
        yield Table("summary", "summarise the results", pairs, predictions, analysis)
        yield Table(
            "comparisons",
            "compare the results",
            pairs,
            predictions,
            analysis | {"groups": slices.comparisons},
        )
        yield Table(
            "crossover", "find when training overtakes context", pairs, predictions, analysis
        )
        yield Table(
            "optimisation",
            "measure what training gave, and how steadily",
            pairs,
            {"index": Index(inputs.results, ("training_log", "predictions"))},
            analysis,
        )
        yield Table(
            "drift",
            "measure how far training moved the hidden states",
            pairs if experiment.representations else [],
            {"index": Index(inputs.states, ("representations", "similarity"))},
            analysis,
            comparisons=True,
        )
        yield Table(
            "noise",
            "measure the noise of evaluation",
            pairs,
            {
                "index": Index(inputs.repeated_runs, ("predictions",)),
                "repeated": Index(inputs.repeats, ("predictions",)),
            },
        )
        yield Table(
            "domains",
            "measure runs on mixtures in and out of domain",
            [(model,) for model in matrix.models_with_domains],
            {"index": Index(inputs.domain_results, ("predictions",))},
            analysis | {"domains": slices.domains},
        )
        yield Table(
            "labels",
            "measure the accuracy of each label",
            list(product(experiment.models, matrix.choice_tasks)),
            predictions,
            analysis | {"labels": slices.labels},
            files={"examples": partial(layout.task, "test.parquet")},
        )
        # apart from the summary: what a repeated job costs differs, what it answers does not
        yield Table(
            "cost",
            "measure the cost",
            pairs,
            {"index": Index(inputs.own_results, ("cost", "inference"))},
        )
        yield Table(
            "targets",
            "describe the targets",
            pairs,
            {"index": Index(inputs.targets, ("manifest",))},
        )

    # the tables of the whole experiment

    @property
    def names(self) -> list[str]:
        return [name for row in self.rows for name in row.names]

    @property
    def gathered(self) -> list[str]:
        """The file of each table of the whole experiment."""
        return [self.layout.result(f"{name}.csv") for name in self.names]

    @property
    def captions(self) -> list[Path]:
        return [_CAPTIONS / f"{name}.rst" for name in self.names]

    def caption(self, table: str) -> str:
        return (_CAPTIONS / f"{table}.rst").read_text()

    def of(self, table: str) -> list[str]:
        """The file of this table of the whole experiment; none where nothing is measured."""
        return [self.layout.result(f"{table}.csv")] if table in self.names else []

    def parts(self, table: str) -> list[str]:
        """The files that the table of the whole experiment is gathered from."""
        row = self._row(table)
        place = self.layout.of_model if row.is_of_model else self.layout.pair
        return [place(f"{table}.csv", *part) for part in row.parts]

    def gathered_by(self, table: str) -> str:
        return self._row(table).gathered_by

    def _row(self, table: str) -> Table:
        (row,) = (row for row in self.rows if table in row.names)
        return row

    # which rule makes the parts

    @property
    def of_pair(self) -> list[str]:
        """Tables of a model on a task that a job makes alone."""
        return [row.name for row in self.rows if not (row.is_of_model or row.comparisons)]

    @property
    def of_model(self) -> list[str]:
        return [row.name for row in self.rows if row.is_of_model]

    @property
    def with_comparisons(self) -> list[str]:
        return [row.name for row in self.rows if row.comparisons]

    # what a job is given

    def files_read(self, wildcards: Any) -> list[str]:
        """The input of the job."""
        row = self._row(wildcards.table)
        read = [
            path
            for index in row.indexes.values()
            for kind in index.kinds
            for path in index.results.files(kind)(wildcards)
        ]
        return read + [of_wildcards(file)(wildcards) for file in row.files.values()]

    def settings(self, wildcards: Any) -> list[str]:
        """The job's arguments that hold settings: a change of one reruns it."""
        slices = self._row(wildcards.table).slices.items()
        return _words({name: of_wildcards(cut, as_json)(wildcards) for name, cut in slices})

    def results(self, wildcards: Any) -> list[str]:
        """The results that the job reads, without their files: a change of one reruns it."""
        return [
            index.results.names(wildcards) for index in self._row(wildcards.table).indexes.values()
        ]

    def arguments(self, wildcards: Any, input: Sequence[str], output: Any) -> list[str]:
        """The job's arguments that name files, as the rule's input and output do."""
        row = self._row(wildcards.table)
        planned = {name: of_wildcards(file)(wildcards) for name, file in row.files.items()}
        given = {planned_path(file, planned.values()): file for file in input}
        return _words(
            {
                name: read.results.index(*read.kinds)(wildcards, input)
                for name, read in row.indexes.items()
            }
            | {name: given[path] for name, path in planned.items()}
            | dict(output.items())
        )

    def does(self, table: str) -> str:
        return self._row(table).does


def _words(arguments: Mapping[str, str]) -> list[str]:
    return [word for name, value in arguments.items() for word in (f"--{name}", value)]
