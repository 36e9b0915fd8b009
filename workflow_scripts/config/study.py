"""The root of a study file: one field for each section or key.

The checks between sections are `study/checks.py`. `config/schema.json` and `docs/configuration.md`
are generated from here.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from workflow_scripts.config.analysis import (
    AnalysisSettings,
    EvaluationSettings,
    RepresentationSettings,
)
from workflow_scripts.config.base import Name, ResultsPath, Shots, Strict
from workflow_scripts.config.comparisons import ComparisonSettings
from workflow_scripts.config.conditions import ConditionSettings
from workflow_scripts.config.models import ModelSettings
from workflow_scripts.config.resources import Stage, StageResources
from workflow_scripts.config.sweeps import SearchSettings, SweepSettings
from workflow_scripts.config.tasks import TaskSettings
from workflow_scripts.config.teachers import TeacherPassSettings, TeacherSettings
from workflow_scripts.config.training import TrainingSettings


class Experiment(Strict):
    """One config file; its results live in `results/<experiment>/`."""

    experiment: Name
    results: ResultsPath = Field("results", description="Folder of all experiments' results.")
    models: dict[Name, ModelSettings] = Field(min_length=1)
    students: tuple[Name, ...] | None = Field(
        None,
        description="Models that the conditions train; when absent, all but encoder-decoders and "
        "quantized ones. The others are only in the in-context gap, and may teach.",
    )
    tasks: dict[Name, TaskSettings] = Field(min_length=1)
    transfer: dict[Name, tuple[Name, ...]] = Field(
        {},
        description="Task → other tasks on which its runs are evaluated too, without training "
        "on them, at the checkpoint chosen on its own validation items.",
    )
    shots: Shots = Field(
        description="Shot counts at which every model is evaluated without training."
    )
    demonstration_seed: int = Field(0, ge=0, description="Of the draw from the reserved pool.")
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field((0,), min_length=1)
    teachers: dict[Name, TeacherSettings] = Field({}, description="Models with a context.")
    conditions: dict[Name, ConditionSettings] = Field(
        {}, description="None: the experiment measures in-context gaps only."
    )
    sweeps: tuple[SweepSettings, ...] = ()
    searches: dict[Name, SearchSettings] = Field(
        {}, description="For fields of conditions; each made when it is asked for."
    )
    comparisons: dict[Name, ComparisonSettings] = Field(
        {},
        description="When absent: `main`, all pairs of the base model and the conditions that "
        "are not swept, and one for each sweep and transfer.",
    )
    training: TrainingSettings | None = Field(None, description="Required with conditions.")
    teacher_pass: TeacherPassSettings = TeacherPassSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    representations: RepresentationSettings | None = Field(
        None,
        description="When given, hidden states of checkpoints are measured: of the conditions in "
        "groups with the figure `teacher_distance` or `drift`, of all where there is none.",
    )
    analysis: AnalysisSettings = AnalysisSettings()
    max_target_gb: float = Field(
        500,
        gt=0,
        description="A plan whose targets may need more disk is refused (10⁹ bytes, over all "
        "models whose `layers` and `width` are given).",
    )
    resources: dict[Stage, StageResources] = Field(
        {}, description="What the jobs of each stage ask for."
    )

    @field_validator("shots", "seeds")
    @classmethod
    def increase(cls, values: tuple[int, ...]) -> tuple[int, ...]:
        if list(values) != sorted(set(values)):
            raise ValueError("must increase")
        return values
