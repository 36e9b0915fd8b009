"""The settings that an exported checkpoint came from."""

from __future__ import annotations

from workflow_scripts.config.analysis import ChooseBy
from workflow_scripts.config.base import Name, Strict
from workflow_scripts.config.data import DataSettings
from workflow_scripts.config.models import ModelSource
from workflow_scripts.config.slices import ContextSettings, RunSlice, ScoringSlice
from workflow_scripts.config.tasks import GenerationSettings
from workflow_scripts.results.formatting import scores_of
from workflow_scripts.results.scorers import Scores
from workflow_scripts.runtime.home import without_home

_HUB = "hub:"


class Taught(Strict):
    """What the run's teacher saw before a question, and the student does without.

    system: None where the teacher had the task's.
    """

    system: str | None
    context: ContextSettings


class Recipe(Strict):
    """A slice: what the text of an export depends on.

    teachers: those that are another model than the base.
    draw: of the demonstrations that the run depends on; None where it is the same in each.
    taught: what the teacher saw, where it is the base model itself.
    judge: the teacher whose answers stand for gold on test items; None where they are gold.
    choose_by: what chose the checkpoint.
    shots: the most demonstrations that the base model was evaluated with.
    baseline, confidence: of the analysis.
    command: makes the export again.
    """

    experiment: Name
    model: Name
    task: Name
    condition: Name
    base: ModelSource
    data: DataSettings
    run: RunSlice
    draw: int | None = None
    teachers: dict[Name, ModelSource]
    generation: GenerationSettings
    scoring: ScoringSlice
    taught: Taught | None = None
    judge: Name | None = None
    choose_by: ChooseBy = "accuracy"
    shots: int
    baseline: Name
    confidence: float
    command: str

    @property
    def scores(self) -> Scores:
        """Names of the two scores: of agreement, where a teacher's answers stand for gold."""
        return scores_of(self.scoring.scorer, self.judge)

    @property
    def name(self) -> str:
        draw = f"-draw-{self.draw}" if self.draw else ""
        return f"{self.model}-{self.task}-{self.condition}-seed-{self.run.seed}{draw}"


def hub_id(source: str) -> str | None:
    """The name on the hub of a model or data set; None of what comes from elsewhere."""
    return source.removeprefix(_HUB) if source.startswith(_HUB) else None


def named(source: str) -> str:
    """The name on the hub, or the source as configured, without the user's home."""
    return hub_id(source) or without_home(source)
