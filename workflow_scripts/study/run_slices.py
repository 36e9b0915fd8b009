"""Slices about what runs are trained on and what is shown to the models that answer."""

from __future__ import annotations

from collections.abc import Collection
from math import ceil

from workflow_scripts.answers.names import temperature_of
from workflow_scripts.config.answers import AnswerSettings
from workflow_scripts.config.conditions import PhaseSettings
from workflow_scripts.config.slices import (
    AnswersSlice,
    CompletionSlice,
    ContextSettings,
    EngineSettings,
    KeptSlice,
    PhaseData,
    RunSlice,
    TeacherSlice,
    TeacherTarget,
)
from workflow_scripts.config.teachers import Answers
from workflow_scripts.config.training import TrainingSettings
from workflow_scripts.prompts.label_tokens import labels_of
from workflow_scripts.study.supervision import REFERENCE, Supervision
from workflow_scripts.study.texts import text_of
from workflow_scripts.training.recipes import run_of
from workflow_scripts.training.terms import trained_phases


class RunSlices:
    """Slices of contexts, teachers, answers and runs."""

    def __init__(self, supervision: Supervision) -> None:
        self.supervision = supervision
        self.matrix = supervision.matrix
        self.experiment = supervision.experiment

    def scorer(self, task: str) -> str:
        return self.experiment.tasks[task].scoring.scorer

    # contexts and teachers

    def context(
        self, task: str, shots: int, draw: int | None = 0, answers: Answers = "correct"
    ) -> ContextSettings:
        # without shots nothing is drawn, so the seed must not matter
        seed = self.experiment.demonstration_seed if shots else 0
        balanced = self.experiment.tasks[task].data.balanced and shots > 0
        # how long a draw is does not matter to the first
        skip = draw * self.matrix.shown_at_most(task) if draw else 0
        return ContextSettings(
            shots=shots, answers=answers, seed=seed, balanced=balanced, skip=skip
        )

    def teacher_context(self, task: str, teacher: str, draw: int | None = 0) -> ContextSettings:
        settings = self.experiment.teachers[teacher]
        shots = self.matrix.teacher_shots(task, teacher)
        context = self.context(task, shots, draw, settings.answers)
        return context.model_copy(update={"item": settings.item})

    def teacher_system(self, teacher: str) -> str | None:
        """The teacher's system text; None where it has the task's."""
        return text_of(self.experiment.teachers[teacher].system)

    def teacher(self, model: str, task: str, data: str, teacher: str, draw: int) -> TeacherSlice:
        """Without the targets, so that a pass is not repeated when some are not read any more."""
        read, *_ = self.supervision.targets_in(model, task, data, teacher, draw)
        settings = self.experiment.tasks[task]
        return TeacherSlice(
            prompt=settings.prompt,
            system=self.teacher_system(teacher),
            context=self.teacher_context(task, teacher, read.draw),
            labels=labels_of(settings.data),
            max_unknown=self.experiment.teachers[teacher].max_unknown,
            shards=self.supervision.shard_count(read),
            batch_size=self.experiment.teacher_pass.batch_size,
        )

    # generated answers

    def teacher_answers(
        self, model: str, task: str, teacher: str, draw: int, generated: str
    ) -> AnswersSlice:
        settings = self.supervision.drawn[generated]
        return self._answers(self.teacher_completion(model, task, teacher, draw), task, settings)

    def student_answers(self, model: str, task: str, condition: str, seed: int) -> AnswersSlice:
        (phase,) = trained_phases(self.experiment.conditions[condition])
        return self._answers(self.completion(model, task), task, phase.answers, seed)

    def _answers(
        self, completion: CompletionSlice, task: str, answers: AnswerSettings, seed: int = 0
    ) -> AnswersSlice:
        temperature = temperature_of(answers)
        return AnswersSlice(
            **dict(completion),
            scorer=self.scorer(task),
            samples=answers.samples,
            temperature=temperature,
            # greedy answers are the same for every seed
            seed=seed if temperature else 0,
        )

    def items_of_round(self, task: str, condition: str) -> int:
        return self.supervision.items_of_round(task, condition)

    def items_of_student(self, task: str, condition: str) -> int:
        """Number of items that the rounds of a student are drawn from."""
        (phase,) = trained_phases(self.experiment.conditions[condition])
        return self.matrix.train_items(task, phase)

    def step_of_round(self, condition: str, round: int) -> int:
        """The step after which a round begins."""
        return round * self.supervision.steps_of_round(condition)

    def kept(self, answered: str, kept: str) -> KeptSlice:
        training = self.experiment.training
        is_trained_on = kept != REFERENCE and training is not None
        return KeptSlice(
            **dict(self.supervision.kept[kept]),
            least=training.batch_size if is_trained_on and training is not None else 1,
            keep_cut=answered.startswith("runs/"),
        )

    # completions

    def teacher_completion(
        self, model: str, task: str, teacher: str, draw: int = 0
    ) -> CompletionSlice:
        """Of a teacher that sees more than demonstrations."""
        completion = self.completion(model, task)
        system = self.teacher_system(teacher)
        prompt = completion.prompt
        if system is not None:
            prompt = prompt.model_copy(update={"system": system})
        context = self.teacher_context(task, teacher, draw)
        return completion.model_copy(update={"prompt": prompt, "context": context})

    def completion(self, model: str, task: str, shots: int = 0, draw: int = 0) -> CompletionSlice:
        chosen = self.experiment.models[model]
        settings = self.experiment.tasks[task]
        return CompletionSlice(
            prompt=settings.prompt,
            generation=settings.generation,
            labels=labels_of(settings.data),
            context=self.context(task, shots, draw),
            engine=EngineSettings(
                kind=chosen.engine,
                batch_size=self.experiment.evaluation.batch_size,
                server=chosen.server if chosen.engine == "server" else None,
            ),
        )

    def completions_elsewhere(
        self, model: str, task: str, draw: int = 0
    ) -> dict[str, list[CompletionSlice]]:
        """Other task → completions of runs on `task`, after each number of demonstrations."""
        return {
            other: [self.completion(model, other, shots, draw) for shots in numbers]
            for other, numbers in self.matrix.transfers_from(task).items()
        }

    # runs

    def run(
        self,
        model: str,
        task: str,
        condition: str,
        seed: int,
        draw: int = 0,
        *,
        kept: Collection[int] = (),
    ) -> RunSlice:
        """Settings of the run.

        kept: steps with a checkpoint on disk. They stay in the slice, so that adding one of them to
        `checkpoints` or removing one retrains nothing.
        """
        data = self.experiment.tasks[task].data
        run = run_of(
            self.experiment.conditions[condition],
            self._training(model),
            prompt=self.experiment.tasks[task].prompt,
            labels=labels_of(data),
            phases=self._phases(model, task, condition, draw),
            seed=seed,
        )
        steps = {*run.training.checkpoints, *(step for step in kept if step <= run.training.steps)}
        training = run.training.model_copy(update={"checkpoints": tuple(sorted(steps))})
        return run.model_copy(update={"training": training})

    def _phases(
        self, model: str, task: str, condition: str, draw: int | None
    ) -> tuple[PhaseData, ...]:
        """What each phase of the condition's runs trains on."""
        # the same for every seed, but for the folder of a student's own answers
        read = self.supervision.read_by(model, task, condition, self.experiment.seeds[0], draw)
        return tuple(
            PhaseData(
                items=(
                    self.experiment.tasks[task].data.items.train * phase.answers.samples
                    if shown is None
                    else shown.shots
                ),
                demonstrations=shown,
                reads=tuple(
                    TeacherTarget(
                        teacher=target.teacher,
                        system=self.teacher_system(target.teacher),
                        context=self.teacher_context(task, target.teacher, target.draw),
                        target=target.target,
                    )
                    for target in targets
                ),
            )
            for phase, targets in zip(self.supervision.phases_of(condition), read, strict=True)
            for shown in [self._trained_demonstrations(task, phase, draw)]
        )

    def _trained_demonstrations(
        self, task: str, phase: PhaseSettings, draw: int | None
    ) -> ContextSettings | None:
        """The demonstrations that a phase trains on; None where it trains on items."""
        if phase.train_on == "items":
            return None
        return self.context(task, self.matrix.train_items(task, phase), draw)

    def steps(self, model: str, task: str, condition: str) -> tuple[int, ...]:
        """Steps whose checkpoints are evaluated; the same for every seed."""
        return self.run(model, task, condition, self.experiment.seeds[0]).training.checkpoints

    def evaluations_elsewhere(self, model: str, task: str, condition: str) -> int:
        """The other tasks of a run as a multiple of its own, on which all checkpoints answer."""
        elsewhere = sum(map(len, self.matrix.transfers_from(task).values()))
        return max(1, ceil(elsewhere / len(self.steps(model, task, condition))))

    def _training(self, model: str) -> TrainingSettings:
        """The recipe shared by all conditions, with the model's own memory settings."""
        assert self.experiment.training is not None
        size = self.experiment.models[model]
        changed = {
            "micro_batch_size": size.micro_batch_size,
            "gradient_checkpointing": size.gradient_checkpointing,
        }
        given = {key: value for key, value in changed.items() if value is not None}
        return TrainingSettings.model_validate(self.experiment.training.model_dump() | given)
