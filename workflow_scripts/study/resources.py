"""What jobs request, and the precision of models that follows from it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from workflow_scripts.config.models import Dtype
from workflow_scripts.config.resources import Stage, StageResources
from workflow_scripts.study.matrix import Matrix


class Resources:
    """Threads, GPUs, memory and time of jobs."""

    def __init__(self, matrix: Matrix) -> None:
        self.matrix = matrix
        self.experiment = matrix.experiment

    def of(
        self, stage: Stage, model: str | None = None, search: str | None = None
    ) -> StageResources:
        """What a job of the stage requests; a job that loads a model may have its own.

        A search trains its trials one after another in one process.
        """
        if search is not None:
            run = self.of(stage, self.matrix.searched_run(search).model)
            runtime = run.runtime * self.experiment.searches[search].trials
            return run.model_copy(update={"gpu": min(1, run.gpu), "runtime": runtime})
        own = self.experiment.models[model].resources if model is not None else {}
        return own.get(stage) or self.experiment.resources.get(stage) or StageResources()

    def of_every_job(self, stage: Stage) -> StageResources | None:
        """What all jobs of the stage request; None where a model or a search has its own."""
        models = self.experiment.models.values()
        if any(stage in model.resources for model in models) or self.experiment.searches:
            return None
        return self.of(stage)

    def dtype_of(self, model: str) -> Dtype:
        """Precision of the model's passes, or `auto` if the job that fetches it must decide.

        That job may run on a login node without a GPU. So `auto` is decided here if any job that
        loads the model requests a GPU.
        """
        given = self.experiment.models[model].dtype
        if given == "auto" and any(
            self.of(stage, model).gpu for stage in self._stages_that_load(model)
        ):
            return "bfloat16"
        return given

    def _stages_that_load(self, model: str) -> Iterator[Stage]:
        yield "icl_gap"
        if self._teaches(model):
            yield "teachers"
        if any(self.matrix.conditions_of(model, task) for task in self.experiment.tasks):
            yield from ("training", "evaluation")

    def _teaches(self, model: str) -> bool:
        return any(
            self.matrix.teaching_model(teacher, student) == model
            for student, task in product(self.experiment.models, self.experiment.tasks)
            for condition in self.matrix.conditions_of(student, task)
            for teacher in self.matrix.teachers_of(condition)
        )
