"""The root of a study file: one field for each section or key.

`study/checks.py` checks sections against each other. `config/schema.json` and
`docs/configuration.md` are generated from here.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from workflow_scripts.config.analysis import (
    AnalysisSettings,
    EvaluationSettings,
    RepresentationSettings,
)
from workflow_scripts.config.base import EachOnce, Name, ResultsPath, Seed, Shots, Strict
from workflow_scripts.config.comparisons import ComparisonSettings
from workflow_scripts.config.conditions import ConditionSettings
from workflow_scripts.config.models import ModelSettings
from workflow_scripts.config.resources import Stage, StageResources
from workflow_scripts.config.results_from import ForeignResult
from workflow_scripts.config.sweeps import SearchSettings, SweepSettings
from workflow_scripts.config.tasks import TaskSettings
from workflow_scripts.config.teachers import TeacherPassSettings, TeacherSettings
from workflow_scripts.config.training import Tracker, TrainingSettings


class Experiment(Strict):
    """One config file; its results live in `results/<experiment>/`."""

    experiment: Name
    results: ResultsPath = Field("results", description="Folder of all experiments' results.")
    models: dict[Name, ModelSettings] = Field(min_length=1)
    students: Annotated[tuple[Name, ...], EachOnce] | None = Field(
        None,
        description="Models to train (default: all but encoder-decoders and quantized models). The "
        "others only have an in-context gap and may be teachers.",
    )
    tasks: dict[Name, TaskSettings] = Field(min_length=1)
    transfer: dict[Name, Annotated[tuple[Name, ...], EachOnce]] = Field(
        {},
        description="Task → other tasks on which its runs are also evaluated, without training "
        "on them, at the checkpoint selected on its own validation split.",
    )
    retention: Annotated[tuple[Name, ...], EachOnce] = Field(
        (),
        description="Tasks on which the runs on every other task are evaluated without "
        "demonstrations, at the checkpoint selected on their own task: what training made them "
        "forget, against the base model.",
    )
    shots: Shots = Field(
        (),
        description="Shot counts at which every base model is evaluated. Required if a model runs "
        "here.",
    )
    demonstration_seed: Seed = Field(
        0, description="Seed of the draw of demonstrations from their pool."
    )
    draws: int = Field(
        1,
        ge=1,
        le=1000,
        description="Disjoint draws of demonstrations; what depends on them is repeated for each, "
        "beside the seeds.",
    )
    seeds: tuple[Seed, ...] = Field((0,), min_length=1)
    teachers: dict[Name, TeacherSettings] = Field({}, description="Models with a context.")
    conditions: dict[Name, ConditionSettings] = Field(
        {}, description="Training recipes. Without any, only in-context gaps are measured."
    )
    sweeps: tuple[SweepSettings, ...] = ()
    searches: dict[Name, SearchSettings] = Field(
        {}, description="Hyperparameter searches, run only on request."
    )
    results_from: tuple[ForeignResult, ...] = Field(
        (),
        description="Results that other tools wrote, compared with the study's own or with each "
        "other.",
    )
    comparisons: dict[Name, ComparisonSettings] = Field(
        {},
        description="Comparison groups (default: `main`, all pairs of base results and unswept "
        "conditions, and one group for each sweep and each transfer).",
    )
    training: TrainingSettings | None = Field(None, description="Required if there are conditions.")
    report_to: Annotated[tuple[Tracker, ...], EachOnce] = Field(
        ("tensorboard",),
        description="Experiment trackers that trainings and searches report to, on this machine; "
        "reruns nothing.",
    )
    teacher_pass: TeacherPassSettings = TeacherPassSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    representations: RepresentationSettings | None = Field(
        None,
        description="If given, measure hidden states of the checkpoints of all conditions in "
        "groups with the figure `teacher_distance` or `drift`, or of all conditions if there are "
        "no such groups.",
    )
    analysis: AnalysisSettings = AnalysisSettings()
    max_target_gb: float = Field(
        500,
        gt=0,
        description="Largest disk space for teacher targets, in 10⁹ bytes; a plan that may need "
        "more is refused (counts models with `layers` and `width`).",
    )
    resources: dict[Stage, StageResources] = Field(
        {}, description="What the jobs of each stage request."
    )

    @field_validator("shots", "seeds")
    @classmethod
    def increase(cls, values: tuple[int, ...]) -> tuple[int, ...]:
        if list(values) != sorted(set(values)):
            raise ValueError("must increase, with each value once")
        return values
