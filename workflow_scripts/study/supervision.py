"""What runs are trained on: examples, generated answers and teacher targets, each a file.

Everything is computed once, on first use, in the order of the config.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import product

from workflow_scripts.answers.names import GREEDY, generated_name, kept_name, kind_of
from workflow_scripts.config.answers import AnswerSettings, KeptAnswers
from workflow_scripts.config.conditions import PhaseSettings
from workflow_scripts.config.teachers import TargetSettings
from workflow_scripts.study.matrix import Matrix
from workflow_scripts.study.results import GeneratedAnswers, PlannedTarget
from workflow_scripts.training.terms import targets_of, trained_phases

# the name of the filter of answers that stand for gold
REFERENCE = "reference"
# highest share of items that a reference may leave without a usable answer
MOST_WITHOUT_REFERENCE = 0.25
# of a target: their numbers have four digits
MOST_SHARDS = 10_000
# splits that a reference answers
REFERENCE_SPLITS = ("validation", "test")


class Supervision:
    """The examples, generated answers and teacher targets of an experiment's runs."""

    def __init__(self, matrix: Matrix) -> None:
        self.matrix = matrix
        self.experiment = matrix.experiment
        self.layout = matrix.layout

    # the phases of a run

    def phases_of(self, condition: str) -> tuple[PhaseSettings, ...]:
        """One for each set of examples: a student's rounds count as one each."""
        return self._phases_of[condition]

    @cached_property
    def _phases_of(self) -> dict[str, tuple[PhaseSettings, ...]]:
        return {
            name: tuple(
                phase
                for phase in trained_phases(condition)
                for _ in range(phase.answers.rounds or 1)
            )
            for name, condition in self.experiment.conditions.items()
        }

    def is_in_rounds(self, condition: str) -> bool:
        """Whether its students train on their own answers."""
        return any(phase.answers.by == "student" for phase in self.phases_of(condition))

    @property
    def in_rounds(self) -> list[str]:
        """Conditions whose students train on their own answers."""
        return list(filter(self.is_in_rounds, self.experiment.conditions))

    @property
    def at_once(self) -> list[str]:
        """All other conditions."""
        return [name for name in self.experiment.conditions if not self.is_in_rounds(name)]

    def items_of_round(self, task: str, condition: str) -> int:
        """Number of items that a student answers in one round: those of its steps, each once."""
        training = self.experiment.training
        (phase,) = trained_phases(self.experiment.conditions[condition])
        assert training is not None
        asked = self.steps_of_round(condition) * training.batch_size
        return min(asked, self.matrix.train_items(task, phase))

    def steps_of_round(self, condition: str) -> int:
        training = self.experiment.training
        (phase,) = trained_phases(self.experiment.conditions[condition])
        assert training is not None
        assert training.steps is not None
        assert phase.answers.rounds is not None
        return training.steps // phase.answers.rounds

    # generated answers

    def answers_of(
        self, model: str, task: str, condition: str, seed: int, draw: int | None, number: int
    ) -> GeneratedAnswers | None:
        """The answers that a phase of a run trains on; None where they are gold.

        number: of the phase, from 0.
        """
        settings = self.experiment.conditions[condition]
        answers = self.phases_of(condition)[number].answers
        if answers.by == "gold":
            return None
        kept = kept_name(answers.keep)
        if answers.by == "student":
            answered = self.layout.round("", model, task, condition, seed, draw, number)
            folder = answered.removeprefix(self.layout.pair("", model, task)).rstrip("/")
            return GeneratedAnswers(
                self.layout,
                model,
                task,
                condition,
                folder,
                kept,
                draw,
                kind=kind_of(answers),
                seed=seed,
                round=number,
            )
        assert settings.teacher is not None
        teaching = self.matrix.teaching_model(settings.teacher, model)
        shown = draw if self.matrix.teacher_shots(task, settings.teacher) else None
        names = (teaching, task, settings.teacher, shown, generated_name(answers), "train", kept)
        return self._of_teacher(*names, kind_of(answers))

    def reference_of(self, model: str, task: str, split: str) -> GeneratedAnswers | None:
        """The reference's greedy answers to a split; None for a task without a reference."""
        teacher = self.experiment.tasks[task].reference
        if teacher is None:
            return None
        teaching = self.matrix.teaching_model(teacher, model)
        (draw, *_) = self.matrix.draws_of_teacher(task, teacher)
        return self._of_teacher(teaching, task, teacher, draw, GREEDY, split, REFERENCE)

    def _of_teacher(
        self,
        teaching: str,
        task: str,
        teacher: str,
        draw: int | None,
        generated: str,
        split: str,
        kept: str,
        kind: str = GREEDY,
    ) -> GeneratedAnswers:
        names = (teaching, task, teacher, draw, generated, split)
        answered = self.layout.teacher_answers("", *names).rstrip("/")
        folder = answered.removeprefix(self.layout.pair("", teaching, task))
        return GeneratedAnswers(self.layout, teaching, task, teacher, folder, kept, draw, kind)

    def generated_of(self, model: str, task: str) -> tuple[GeneratedAnswers, ...]:
        """All answers to training items that some run trains on and that lie with this model."""
        return self._generated[model, task]

    def exemplary_of(self, model: str, task: str) -> tuple[GeneratedAnswers, ...]:
        """The first answers of each teacher that is this model; the report shows a few of them."""
        first: dict[str, GeneratedAnswers] = {}
        for answers in self.generated_of(model, task):
            if answers.round is None:
                first.setdefault(answers.author, answers)
        return tuple(first.values())

    @cached_property
    def _generated(self) -> dict[tuple[str, str], tuple[GeneratedAnswers, ...]]:
        pairs = list(product(self.experiment.models, self.experiment.tasks))
        found: dict[tuple[str, str], dict[GeneratedAnswers, None]] = {pair: {} for pair in pairs}
        for pair in pairs:
            for run in self.matrix.runs_of(*pair):
                for number in range(len(self.phases_of(run.condition))):
                    answers = self.answers_of(*pair, run.condition, run.seed, run.draw, number)
                    if answers is not None:
                        found[answers.model, answers.task].setdefault(answers)
        return {pair: tuple(answers) for pair, answers in found.items()}

    @cached_property
    def drawn(self) -> dict[str, AnswerSettings]:
        """Name of a teacher's way to answer → its settings."""
        settings = [AnswerSettings(by="teacher"), *(p.answers for p in self._phases())]
        return {generated_name(own): own for own in settings if own.by == "teacher"}

    @cached_property
    def kept(self) -> dict[str, KeptAnswers]:
        """Name of a filter → its settings."""
        named = {kept_name(phase.answers.keep): phase.answers.keep for phase in self._phases()}
        return {REFERENCE: KeptAnswers(max_unusable=MOST_WITHOUT_REFERENCE), **named}

    def _phases(self) -> Iterator[PhaseSettings]:
        for condition in self.experiment.conditions.values():
            yield from trained_phases(condition)

    # teacher targets

    def read_by(
        self, model: str, task: str, condition: str, seed: int, draw: int | None
    ) -> tuple[tuple[PlannedTarget, ...], ...]:
        """The teacher targets that each phase of a run reads."""
        return tuple(
            tuple(
                self._target(model, task, teacher, target, draw, phase, answers)
                for teacher, target in targets
            )
            for number, (phase, targets) in enumerate(
                zip(self.phases_of(condition), self._targets_of[condition], strict=True)
            )
            for answers in [self.answers_of(model, task, condition, seed, draw, number)]
        )

    @cached_property
    def _targets_of(self) -> dict[str, list[tuple[tuple[str, TargetSettings], ...]]]:
        """Condition → teachers and their targets that each of its phases reads."""
        return {
            name: [targets_of(phase.terms, condition.teacher) for phase in self.phases_of(name)]
            for name, condition in self.experiment.conditions.items()
        }

    def _target(
        self,
        student: str,
        task: str,
        teacher: str,
        target: TargetSettings,
        draw: int | None,
        phase: PhaseSettings,
        answers: GeneratedAnswers | None,
    ) -> PlannedTarget:
        teaching = self.matrix.teaching_model(teacher, student)
        shown = draw if self.matrix.teacher_shots(task, teacher) else None
        items = self.experiment.tasks[task].data.items.train * phase.answers.samples
        if answers is None:
            return PlannedTarget(
                self.layout, teaching, task, teacher, target, teaching, items, shown
            )
        if answers.round is not None:
            items = self.items_of_round(task, answers.author)
        return PlannedTarget(
            self.layout,
            answers.model,
            task,
            teacher,
            target,
            teaching,
            items,
            # two draws of a teacher may read one set of answers
            shown,
            answers.data,
            answers,
        )

    def targets_of(self, model: str, task: str) -> tuple[PlannedTarget, ...]:
        """Targets in this model's folder that some student reads, each once."""
        return self._targets[model, task]

    def described_targets_of(self, model: str, task: str) -> tuple[PlannedTarget, ...]:
        """The same without those of single rounds of students, which would be thousands."""
        targets = self.targets_of(model, task)
        return tuple(t for t in targets if t.answers is None or t.answers.round is None)

    @cached_property
    def _targets(self) -> dict[tuple[str, str], tuple[PlannedTarget, ...]]:
        pairs = list(product(self.experiment.models, self.experiment.tasks))
        found: dict[tuple[str, str], dict[PlannedTarget, None]] = {pair: {} for pair in pairs}
        for pair in pairs:
            for run in self.matrix.runs_of(*pair):
                read = self.read_by(*pair, run.condition, run.seed, run.draw)
                for target in (target for phase in read for target in phase):
                    found[target.model, target.task].setdefault(target)
        return {pair: tuple(targets) for pair, targets in found.items()}

    def targets_in(
        self, model: str, task: str, data: str, teacher: str, draw: int
    ) -> list[PlannedTarget]:
        """The targets in a teacher's folder; draw: 0 also for one that depends on none.

        Raises KeyError when no condition reads any.
        """
        return self.by_folder[self.layout.targets("", model, task, teacher, draw, data)]

    @cached_property
    def by_folder(self) -> dict[str, list[PlannedTarget]]:
        """Folder of a teacher's targets → all of them that are read."""
        found: dict[str, list[PlannedTarget]] = {}
        for target in (target for own in self._targets.values() for target in own):
            found.setdefault(target.folder, []).append(target)
        return found

    def shards_of(self, target: PlannedTarget) -> list[str]:
        """Names of the shards of a target; needs no data."""
        digits = len(str(MOST_SHARDS - 1))
        return [f"{index:0{digits}d}" for index in range(self.shard_count(target))]

    def shard_count(self, target: PlannedTarget) -> int:
        return -(-target.items // self.experiment.teacher_pass.shard_size)
