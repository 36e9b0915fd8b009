"""Slices: the settings that a rule's result depends on, as its jobs receive them."""

from __future__ import annotations

from pydantic import Field

from workflow_scripts.config.analysis import RepresentationSettings
from workflow_scripts.config.base import Name, ResultName, Strict
from workflow_scripts.config.comparisons import ComparisonGroup
from workflow_scripts.config.conditions import ConditionSettings, Head
from workflow_scripts.config.data import DataSettings
from workflow_scripts.config.models import EngineKind, ModelSource, ServerSettings
from workflow_scripts.config.sweeps import SearchSettings
from workflow_scripts.config.tasks import GenerationSettings, PromptSettings, ScoringSettings
from workflow_scripts.config.teachers import Answers, TargetSettings, TeacherPassSettings
from workflow_scripts.config.terms import Term
from workflow_scripts.config.training import Adapter, Optimization, TrainingSettings


class ContextSettings(Strict):
    """Demonstrations in the prompt."""

    shots: int
    answers: Answers
    seed: int
    balanced: bool = False


class EngineSettings(Strict):
    """The engine that generates and scores."""

    kind: EngineKind
    batch_size: int
    server: ServerSettings | None


class CompletionSlice(Strict):
    """Settings of a model's completions."""

    prompt: PromptSettings
    generation: GenerationSettings
    labels: tuple[str, ...] | None
    context: ContextSettings
    engine: EngineSettings


class ScoringSlice(ScoringSettings):
    """Settings of scores. components: of a mixture, the settings of each task."""

    labels: tuple[str, ...] | None
    components: dict[Name, ScoringSlice] = Field({})


class OverflowSlice(Strict):
    """Settings that decide which items exceed a context window.

    context: with the most demonstrations of the experiment.
    """

    data: DataSettings
    prompt: PromptSettings
    context: ContextSettings
    max_new_tokens: int


class RepresentationSlice(RepresentationSettings):
    """Settings of the hidden states of a run's checkpoints.

    context: of the base model's states that they are compared with.
    """

    prompt: PromptSettings
    context: ContextSettings
    batch_size: int


class TeacherSlice(Strict):
    """Settings of a teacher target."""

    prompt: PromptSettings
    context: ContextSettings
    target: TargetSettings
    labels: tuple[str, ...] | None
    max_unknown: float
    teacher_pass: TeacherPassSettings


class PretrainingSlice(Strict):
    """Settings of a model pretrained here. prompts: by task."""

    model: ModelSource
    prompts: dict[Name, PromptSettings]


class TeacherTarget(Strict):
    """A teacher target that a run reads."""

    teacher: Name
    context: ContextSettings
    target: TargetSettings


class TrainingSlice(Optimization):
    """The recipe of one run, in optimizer steps. checkpoints: steps whose weights are kept."""

    steps: int
    checkpoints: tuple[int, ...]
    warmup_steps: int


class RunSlice(Strict):
    """Settings of a trained student."""

    prompt: PromptSettings
    labels: tuple[str, ...] | None
    teacher: Name | None
    terms: tuple[Term, ...]
    reads: tuple[TeacherTarget, ...]
    head: Head
    adapter: Adapter
    train_items: int
    training: TrainingSlice
    seed: int


class SearchSlice(Strict):
    """Settings of a search.

    condition: the one whose fields are searched.
    training, reads, items: of its runs, see `training.recipes.run_of`.
    """

    search: SearchSettings
    condition: ConditionSettings
    training: TrainingSettings
    reads: tuple[TeacherTarget, ...]
    items: int
    completion: CompletionSlice
    scoring: ScoringSlice


class FigureSlice(Strict):
    """How one figure of a model and task is drawn.

    group: for a figure of a comparison group, with the texts of its members, the condition that
    others are compared with, and the members' numbers in a sweep.
    """

    figure: str
    model: Name
    task: Name
    scorer: str
    group: ComparisonGroup | None = None
    texts: dict[ResultName, str] = Field(default_factory=dict)
    baseline: str = ""
    values: dict[ResultName, float] = Field(default_factory=dict)


class ComparisonSlice(ComparisonGroup):
    """A group with its pairs, (first, second); a verdict is about the first."""

    pairs: tuple[tuple[ResultName, ResultName], ...]
