"""The tables of a study: one row each, which says what `tables/<name>.py` makes it from.

A new table is a module of `workflow_scripts/tables/`, and a row and a caption here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import product
from typing import Any, NamedTuple

from workflow_scripts.study.inputs import Inputs, ResultSet, planned_path
from workflow_scripts.study.slices import Slices
from workflow_scripts.study.wildcards import as_json, of_wildcards

_SUMMARISED = (
    "icl_gap",
    "summary",
    "comparisons",
    "crossover",
    "noise",
    "cost",
    "tuning",
    "domains",
    "retention",
    "answers",
    "results_from",
)


# table → what it holds, for the report
CAPTIONS = {
    "icl_gap": (
        "What demonstrations in its context give the base model, or the context of a teacher with "
        "more than demonstrations: strict and flexible accuracy and answer loss (mean, nats) in "
        "each context, with intervals, and the gap to zero shots, with Newcombe's interval for "
        "paired proportions (of graded scores, Student's). Draw ``all`` is the mean over several "
        "draws of demonstrations, with the interval of a t test in which draws and items are both "
        "samples of more. A model ``qualifies`` for a task when its gap on the test split at the "
        "most shots is at least ``analysis.qualifying_gap``; this is ``decided`` when the gap's "
        "interval lies on one side of it. ``smallest_qualifying`` marks the qualifying model with "
        "the fewest parameters. Rows with another sample than ``all`` say the same of the first "
        "few test items (``analysis.quick_look``), so that one sees what so few can decide."
    ),
    "summary": (
        "Accuracy (strict and flexible, with Wilson intervals; of free text the two metrics of "
        "its scorer, with Student's) and answer loss of every condition at every checkpoint on "
        "both splits. Seed or draw ``all`` is the mean over the seeds, the draws of "
        "demonstrations or both; what is the same in every draw has none. Step 0 is the base "
        "model; conditions named ``<k>-shot`` are the base model with k demonstrations in its "
        "context. ``<condition>@<task>`` was trained on another task, and "
        "``<condition>@<task>@<k>-shot`` is shown k demonstrations too, as its step 0 is. The "
        "answer loss is the mean over the correct answer's tokens; of tasks that are scored by "
        "likelihood, that of the correct label among the labels."
    ),
    "comparisons": (
        "Differences in strict accuracy (or in the mean of a graded score) within each group, on "
        "the same test items, each result at its chosen checkpoint. One "
        "seed: Newcombe's interval and the exact McNemar p, about the models that were trained; "
        "of graded scores Student's paired t test. Seed or draw ``all``: a t test in which seeds, "
        "draws of demonstrations and items are all samples of more, with the spread of seeds and "
        "of draws pooled over the group; the bootstrap interval beside it decides nothing. "
        "``p_holm`` is corrected within the group, seed and draw. ``better`` and ``worse`` need "
        "that p below the level and an interval that excludes 0; everything else is ``not "
        "shown``, which is not the same as equal. Where nothing could be tested, ``note`` says "
        "why. ``detectable`` is the smallest true difference that would probably be shown with "
        "these items, seeds and draws. In simulated groups in which nothing differs, a verdict "
        "came up in 0 to 5 % (up to 8 % where the seeds of one member varied ten times as much as "
        "the others')."
    ),
    "disagreements": (
        "Test items on which two results of a group disagree, of its main pair: the first trained "
        "result and the baseline (of a group of steps, its last and first member; of a group "
        "compared with its first member, the second and that one). Both at their chosen "
        "checkpoints, with the first seed and draw. ``better`` is the one with the higher strict "
        "score, ``disagreements`` the number of all items where it is, and at most ten of them are "
        "here each way: the first of the split, or where scores are graded those that differ most. "
        "``answer`` is the whole text that was generated, ``prediction`` what the scorer read."
    ),
    "crossover": (
        "The first checkpoint whose answer loss on the test split is below that of the base model "
        "with the most demonstrations, and the first whose strict accuracy is at least its; empty "
        "where none is. Intervals are percentiles of a paired bootstrap over items (and seeds and "
        "draws): an empty upper end means that crossing within the training is not sure, a lower "
        "end of 0 that the base model may be as good as with demonstrations. Where demonstrations "
        "gain nothing there is no gap to cross. Seed or draw ``all`` is the mean curve over them; "
        "a run is compared with the base model in its own draw of demonstrations."
    ),
    "optimisation": (
        "How much of the in-context gap each run closed, and how steadily it was optimised. "
        "On the test split: ``gap_reduction``, the chosen checkpoint's gain in strict "
        "accuracy over the base model as a share of what the most demonstrations gain (1 is "
        "all of it; empty where that gain is not shown); ``area``, the mean strict accuracy "
        "along the training, from the trapezoids under its curve; both with percentile "
        "bootstrap intervals over items (and seeds and draws). ``checkpoint_variance`` and "
        "``loss_variance`` are half the mean squared difference of successive values in the "
        "last half of the steps: of the checkpoints' strict accuracies, and of the training "
        "loss. The loss is the weighted sum of a condition's terms, so its variance compares "
        "seeds, or conditions with the same terms, and no others. Gradient norms are before "
        "clipping. ``spikes`` counts the steps whose loss lies more than five scaled median "
        "absolute deviations above the median of the loss and its ten neighbours on either "
        "side. For seed or draw ``all``, columns without an interval are means over them."
    ),
    "drift": (
        "How far training moved the hidden states on held-out items without context, at each "
        "checkpoint, position and layer. ``drift`` is 1 minus the cosine between a "
        "checkpoint's state and the base model's, the mean over items. ``teacher_distance`` "
        "is the distance to the state of the base model with the most demonstrations, as a "
        "share of where training started: 1 is the base model, 0 the teacher, above 1 "
        "further away. ``cka`` (linear, unbiased estimator) and ``svcca`` compare all "
        "``rows`` (positions of all items) with the base model's: 1 is the same up to "
        "rotation and scale. SVCCA is empty with fewer than 5 rows for each of its "
        "``svcca_dimensions``; with exactly that many, unrelated states would read 0.39. "
        "Intervals are Student's t over items, of seed or draw ``all`` over seeds, draws and "
        "items."
    ),
    "drift_comparisons": (
        "Whether a condition moved the hidden states less or more than the baseline did, each at "
        "its last checkpoint: ``difference`` in drift (1 - cosine to the base model's states), "
        "condition minus baseline, on the same items. Rows of layer ``all`` are of the mean over "
        "layers. One seed is tested by a paired t test over items and speaks of these trained "
        "models; seed or draw ``all`` is tested over seeds, draws and items and speaks of the "
        "conditions. Holm's correction is over the conditions and positions for layer ``all``, "
        "and over the layers of one condition and position for single layers."
    ),
    "tuning": (
        "Which variant of each condition (``arm``) is its tuned result, ``<arm>~tuned``, and what "
        "was varied there (``setting``): the variant whose "
        "``validation`` is highest, the mean over seeds and draws of what chooses checkpoints (as "
        "a rule strict accuracy on validation items), each run at its chosen checkpoint; on a tie "
        "that with the lower ``validation_loss``, then the first. Every arm had ``trials``, "
        "itself among them: arms with more have a better chance. No test item takes part."
    ),
    "noise": (
        "One run's chosen checkpoint evaluated twice on the same test items, the second time "
        "in reverse order and in batches of half the size: what differs is noise of the "
        "evaluation alone, from rounding that depends on the batch or from a server. Items "
        "with another prediction or another strict score, both strict accuracies, and the "
        "mean and largest absolute difference of an item's answer loss (nats per answer "
        "token). A difference between conditions that is no larger may be nothing else."
    ),
    "domains": (
        "How good runs on a mixture (``task``) are on its own tasks (domain ``in``) and on "
        "tasks that they were not trained on (``out``), after each number of demonstrations: "
        "the mean over the ``answered`` tasks of the mean strict score on test, each task "
        "weighing the same, of the base model and of each condition at its chosen "
        "checkpoint. ``difference`` is from the baseline after the same number of "
        "demonstrations; ``gain`` is what the demonstrations add to the same result: whether "
        "a student still learns from context after distillation. Intervals are percentiles "
        "of a bootstrap over the items of each task and over the seeds and draws, the "
        "same in all tasks, paired in differences and gains; with few seeds or draws they are too "
        "narrow. A mean "
        "over tasks of different metrics is a summary and nothing is tested on it: verdicts, "
        "task by task, are in comparisons.csv."
    ),
    "retention": (
        "What runs on a task gained there and forgot elsewhere: each condition, at the checkpoint "
        "chosen on its own task, against the base model on the same test items, both without "
        "demonstrations. ``answered`` is the task itself, or one of ``retention`` that it was not "
        "trained on. Differences are in strict accuracy (or in the mean of a graded score), with "
        "the tests and intervals of comparisons.csv. ``p_holm`` is corrected over the conditions, "
        "for each answered task, seed and draw. ``forgotten`` and ``gained`` (``worse`` and "
        "``better`` on the task itself) need that p below the level and an interval that excludes "
        "0; everything else is ``not shown``, which is not the same as kept: ``detectable`` is the "
        "smallest true loss that would probably be shown."
    ),
    "labels": (
        "How good each result is on the test items of each correct label, at the chosen "
        "checkpoint: strict accuracy (the label's recall) with Wilson's interval. Seed "
        "or draw ``all`` is the mean over them, its interval for the number of independent trials "
        "that a bootstrap over items, seeds and draws amounts to. ``predicted`` is the share of "
        "all items that are answered with the label. A result that always gives one answer is "
        "right on every item of that label and on none of the others: its accuracy on a balanced "
        "task says as little as guessing."
    ),
    "calibration": (
        "Whether the probabilities of the labels say how often the answer is right, on the test "
        "items of tasks whose labels are ranked, at the chosen checkpoint. ``confidence`` is the "
        "mean probability of the likeliest label, ``accuracy`` how often it is correct. "
        "``calibration_error`` is the expected calibration error (15 bins of equal width, Guo et "
        "al. 2017): the mean over items of how far accuracy and confidence of their bin lie apart. "
        "Chance alone makes it more than 0: a perfectly calibrated model would have about "
        "``calibrated``. Its interval is the basic one of a bootstrap over items. ``brier`` is "
        "Brier's score (1950), the squared distance of the probabilities from the correct label, "
        "summed over labels: 0 is best, 2 worst. Seed or draw ``all`` is the mean over them, which "
        "are resampled too; with few the intervals are too narrow. Nothing is tested here."
    ),
    "cost": (
        "What each result took, in a row for each phase: ``training`` of a run, and "
        "``inference``, answering the validation and test items, of a run at all its "
        "checkpoints and of the base model with demonstrations. ``support`` counts the "
        "labelled examples that a result uses: demonstrations shown, or items trained on. "
        "What computed (the GPU, or the CPU with its threads), the number of processes and the "
        "dtype; wall seconds, CPU seconds (user and system), mean and peak resident memory "
        "and peak GPU memory in MiB; tokens seen in training; answers given at inference, "
        "and the CPU seconds of one. Compare times only where ``processor``, ``threads``, "
        "``processes`` and ``dtype`` agree."
    ),
    "answers": (
        "What teachers and students answered to training questions. ``answers`` counts them "
        "(several of an item where it was sampled), ``empty``, ``cut`` (by ``max_new_tokens``) and "
        "``markup`` (text that the chat template would change) the unusable ones, ``kept`` those "
        "that are trained on. ``tokens`` (end token included), ``logprob`` (nats of a token, as "
        "the author reads them) and ``agreement`` are means over the usable answers. "
        "``accuracy_strict`` and ``accuracy_flexible`` compare the usable answers with gold, and "
        "``kept_…`` the kept ones: means over items, with Wilson's interval (Student's where "
        "samples of an item differ or the score is graded); empty where there is no gold. Nothing "
        "of these columns reaches a run without labels."
    ),
    "answer_examples": (
        "The first answers of each teacher beside gold, as they were generated: whether each is "
        "``kept`` for training, why it is ``unusable`` where it is (``empty``, ``cut`` by "
        "``max_new_tokens``, or ``markup`` of the chat template), and its strict score, empty "
        "where there is no gold."
    ),
    "results_from": (
        "Where the results come from that were made elsewhere: ``file`` and its ``format``, the "
        "``metric`` that was read (all scores of such a result are it), and how many of the task's "
        "``items`` on test were ``matched``, by id or by question. Comparisons are on the items "
        "that every member of a group has. ``note`` names what was left out, on either side."
    ),
    "targets": (
        "How much of the teacher's probability (at temperature 1) the recorded top k tokens "
        "hold together, for each target of logits on the training split: mean and minimum "
        "over positions, and the share of positions where it is at least 99.9 %. Kinds of "
        "position are all of them and, where the target reads answers, those that predict "
        "the first answer token, the later ones and the end token. ``author`` says whose answers "
        "the target is of: ``gold``, or a teacher's, with how it answered; targets of the rounds "
        "of students are left out. There is no interval."
    ),
}


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
    comparisons: whether the same jobs make `<name>_comparisons.csv`.
    chooses: whether results are made from it, so that a rule of its own precedes other tables.
    gathered_by: module that puts the parts together.
    """

    name: str
    does: str
    parts: Sequence[tuple[str, ...]]
    indexes: Mapping[str, Index]
    slices: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    files: Mapping[str, Callable[..., str]] = field(default_factory=dict)
    comparisons: bool = False
    chooses: bool = False
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
        yield from self._main_rows()
        yield from self._further_rows()

    def _main_rows(self) -> Iterator[Table]:
        inputs, slices = self.inputs, self.slices
        pairs, here = self._pairs, self._pairs_here
        analysis = {"settings": slices.analysis}
        predictions = {"index": Index(inputs.results, ("predictions",))}
        yield Table(
            "icl_gap",
            "measure the in-context gap",
            here,
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
            "disagreements",
            "show items on which results disagree",
            [pair for pair in pairs if inputs.catalog.groups.of_pair(*pair)],
            predictions,
            {"pairs": slices.main_pairs},
            files={"examples": inputs.test},
        )
        yield Table(
            "crossover",
            "find when training overtakes context",
            here,
            {"index": Index(inputs.evaluated, ("predictions",))},
            analysis,
        )
        yield Table(
            "optimisation",
            "measure what training gave, and how steadily",
            here,
            {"index": Index(inputs.evaluated, ("training_log", "predictions"))},
            analysis,
        )

    def _further_rows(self) -> Iterator[Table]:
        inputs, slices, pairs = self.inputs, self.slices, self._pairs_here
        matrix, experiment = inputs.matrix, inputs.experiment
        analysis = {"settings": slices.analysis}
        yield Table(
            "drift",
            "measure how far training moved the hidden states",
            pairs if experiment.representations else [],
            {"index": Index(inputs.states, ("representations", "similarity"))},
            analysis,
            comparisons=True,
        )
        yield Table(
            "tuning",
            "choose among the variants of each condition",
            [pair for pair in pairs if slices.tuned(*pair)],
            {"index": Index(inputs.runs, ("predictions",))},
            {"tuned": slices.tuned},
            chooses=True,
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
            "retention",
            "measure what was forgotten",
            matrix.pairs_with_retention,
            {"index": Index(inputs.retained_results, ("predictions",))},
            analysis,
        )
        yield Table(
            "labels",
            "measure the accuracy of each label",
            list(product(matrix.models_here, matrix.choice_tasks)),
            {"index": Index(inputs.evaluated, ("predictions",))},
            analysis | {"labels": slices.labels},
            files={"examples": partial(self.layout.task, "test.parquet")},
        )
        yield Table(
            "calibration",
            "measure the calibration",
            list(product(matrix.models_here, matrix.ranked_tasks)),
            {"index": Index(inputs.evaluated, ("predictions",))},
            analysis,
        )
        # apart from the summary: what a repeated job costs differs, what it answers does not
        yield Table(
            "cost",
            "measure the cost",
            pairs,
            {"index": Index(inputs.own_results, ("cost", "inference"))},
        )
        authored = [pair for pair in pairs if inputs.supervision.generated_of(*pair)]
        yield Table(
            "answers",
            "describe the generated answers",
            authored,
            {"index": Index(inputs.generated, ("answers", "kept"))},
            analysis | {"scoring": slices.scoring},
            files={"examples": inputs.train_split},
        )
        yield Table(
            "answer_examples",
            "show a few generated answers",
            [pair for pair in authored if inputs.supervision.exemplary_of(*pair)],
            {"index": Index(inputs.exemplary, ("answers", "kept"))},
            {"scoring": slices.scoring},
            files={"examples": inputs.train_split},
        )
        yield Table(
            "results_from",
            "describe the results that were made elsewhere",
            [pair for pair in self._pairs if matrix.foreign_of(*pair)],
            {"index": Index(inputs.foreign, ("origin",))},
        )
        yield Table(
            "targets",
            "describe the targets",
            pairs,
            {"index": Index(inputs.targets, ("manifest",))},
        )

    @property
    def _pairs(self) -> list[tuple[str, str]]:
        """Every model and task with results."""
        pairs = product(self.inputs.experiment.models, self.inputs.experiment.tasks)
        return [pair for pair in pairs if self.inputs.matrix.results_of(*pair)]

    @property
    def _pairs_here(self) -> list[tuple[str, str]]:
        """Every model that runs here, and task."""
        return list(product(self.inputs.matrix.models_here, self.inputs.experiment.tasks))

    # the tables of the whole experiment

    @property
    def names(self) -> list[str]:
        return [name for row in self.rows for name in row.names]

    @property
    def gathered(self) -> list[str]:
        """The file of each table of the whole experiment."""
        return [self.layout.result(f"{name}.csv") for name in self.names]

    @property
    def captions(self) -> str:
        """Table → what it holds, as JSON."""
        return json.dumps({name: self.caption(name) for name in self.names})

    def caption(self, table: str) -> str:
        return CAPTIONS[table]

    @property
    def summarised(self) -> list[str]:
        """The gathered tables that the summary for the terminal shows."""
        return [self.layout.result(f"{name}.csv") for name in self.names if name in _SUMMARISED]

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
        apart = {*self.of_model, *self.with_comparisons, *self.choosing}
        return [row.name for row in self.rows if row.name not in apart]

    @property
    def of_model(self) -> list[str]:
        return [row.name for row in self.rows if row.is_of_model]

    @property
    def with_comparisons(self) -> list[str]:
        return [row.name for row in self.rows if row.comparisons]

    @property
    def choosing(self) -> list[str]:
        return [row.name for row in self.rows if row.chooses]

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
