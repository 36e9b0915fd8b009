"""Slices: the settings that each rule's result depends on, as its jobs are given them."""

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
    """The demonstrations before the question."""

    shots: int
    answers: Answers
    seed: int
    balanced: bool = False


class EngineSettings(Strict):
    """What generates and scores."""

    kind: EngineKind
    batch_size: int
    server: ServerSettings | None


class CompletionSlice(Strict):
    """What completions of a model depend on."""

    prompt: PromptSettings
    generation: GenerationSettings
    labels: tuple[str, ...] | None
    context: ContextSettings
    engine: EngineSettings


class ScoringSlice(ScoringSettings):
    """What scores depend on.

    components: of a mixture, each task's own.
    """

    labels: tuple[str, ...] | None
    components: dict[Name, ScoringSlice] = Field({})


class OverflowSlice(Strict):
    """What decides which items fit no context.

    context: the most demonstrations that the experiment shows.
    """

    data: DataSettings
    prompt: PromptSettings
    context: ContextSettings
    max_new_tokens: int


class RepresentationSlice(RepresentationSettings):
    """What the representations of a run's checkpoints depend on.

    context: of the teacher that they are held against.
    """

    prompt: PromptSettings
    context: ContextSettings
    batch_size: int


class TeacherSlice(Strict):
    """What a teacher's target depends on."""

    prompt: PromptSettings
    context: ContextSettings
    target: TargetSettings
    labels: tuple[str, ...] | None
    max_unknown: float
    teacher_pass: TeacherPassSettings


class PretrainingSlice(Strict):
    """What a model that is trained from scratch depends on.

    prompts: of the tasks that it is trained on.
    """

    model: ModelSource
    prompts: dict[Name, PromptSettings]


class TeacherTarget(Strict):
    """One teacher's target that a run reads."""

    teacher: Name
    context: ContextSettings
    target: TargetSettings


class TrainingSlice(Optimization):
    """The recipe of one run, in optimizer steps.

    checkpoints: steps after which the adapter is kept.
    """

    steps: int
    checkpoints: tuple[int, ...]
    warmup_steps: int


class RunSlice(Strict):
    """What a trained student depends on."""

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
    """What a search depends on.

    condition: whose fields are searched. training, reads, items: of its runs, as of
    `training.recipes.run_of`.
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
    """What the comparisons of a group depend on.

    pairs: (first, second) of each comparison; the verdict is about the first.
    """

    pairs: tuple[tuple[ResultName, ResultName], ...]
