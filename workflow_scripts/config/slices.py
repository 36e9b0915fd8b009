"""Slices: the settings that a rule's result depends on, as its jobs receive them."""

from __future__ import annotations

from pydantic import Field

from workflow_scripts.config.analysis import ChooseBy, RepresentationSettings
from workflow_scripts.config.answers import Author, KeptAnswers
from workflow_scripts.config.base import Name, ResultName, Strict
from workflow_scripts.config.comparisons import ComparisonGroup
from workflow_scripts.config.conditions import ConditionSettings, Head
from workflow_scripts.config.data import DataSettings
from workflow_scripts.config.models import EngineKind, ModelSource, ServerSettings
from workflow_scripts.config.sweeps import SearchSettings
from workflow_scripts.config.tasks import GenerationSettings, PromptSettings, ScoringSettings
from workflow_scripts.config.teachers import Answers, TargetSettings
from workflow_scripts.config.terms import Term
from workflow_scripts.config.training import Adapter, Optimization, Tracker, TrainingSettings


class MainPair(Strict):
    """The pair of a comparison group whose disagreements are shown."""

    group: str
    first: ResultName
    second: ResultName


class ContextSettings(Strict):
    """What stands before the question, besides the system text.

    skip: demonstrations of the seeded order before the first that is shown; draws are disjoint.
    item: column of the item that is shown before its question.
    """

    shots: int
    answers: Answers
    seed: int
    balanced: bool = False
    skip: int = 0
    item: str | None = None


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


class ForeignSlice(Strict):
    """Settings of a foreign result. metric: None for the only one.

    data: of the task, whose questions are made of the rows of a log too.
    confidence: of tests, which says how many items one needs.
    """

    name: Name
    metric: str | None
    data: DataSettings
    confidence: float


class PredictionSlice(ScoringSlice):
    """Settings of predictions. choose_by: what will choose among a run's checkpoints."""

    choose_by: ChooseBy


class AnswersSlice(CompletionSlice):
    """Settings of generated answers.

    prompt: of their author, with its own system text.
    scorer: of the task; it says when two answers agree.
    seed: of sampling.
    """

    scorer: str
    samples: int
    temperature: float
    seed: int


class KeptSlice(KeptAnswers):
    """Which generated answers are trained on.

    least: fewest that may be left, a batch.
    keep_cut: whether answers that `max_new_tokens` cut are trained on: a teacher can say what
    follows what a student wrote, wherever that ends.
    """

    least: int
    keep_cut: bool = False


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
    """Settings of a teacher's targets.

    prompt, labels: of the task. system: of the teacher.
    shards: into which its items are split.
    """

    prompt: PromptSettings
    system: str | None
    context: ContextSettings
    labels: tuple[str, ...] | None
    max_unknown: float
    shards: int
    batch_size: int


class PretrainingSlice(Strict):
    """Settings of a model pretrained here. prompts: by task."""

    model: ModelSource
    prompts: dict[Name, PromptSettings]


class TeacherTarget(Strict):
    """A teacher target that a run reads."""

    teacher: Name
    system: str | None
    context: ContextSettings
    target: TargetSettings


class TrainingSlice(Optimization):
    """The recipe of one run, in optimizer steps. checkpoints: steps whose weights are kept."""

    steps: int
    checkpoints: tuple[int, ...]
    warmup_steps: int


class PhaseData(Strict):
    """What a phase of a condition may train on in a task.

    items: the number of examples.
    demonstrations: which demonstrations they are, where they are these.
    reads: the targets that its terms read.
    """

    items: int
    demonstrations: ContextSettings | None
    reads: tuple[TeacherTarget, ...]


class PhaseSlice(Strict):
    """Consecutive steps of a run with the same terms and data.

    author: of the answers that it trains on.
    demonstrations: which demonstrations it trains on, instead of items.
    train_items: it trains on the first of its examples, up to this number.
    """

    terms: tuple[Term, ...]
    reads: tuple[TeacherTarget, ...]
    author: Author
    demonstrations: ContextSettings | None
    train_items: int
    steps: int


class RunSlice(Strict):
    """Settings of a trained student.

    phases: in order; a student that trains on its own answers has one for each round.
    """

    prompt: PromptSettings
    labels: tuple[str, ...] | None
    teacher: Name | None
    phases: tuple[PhaseSlice, ...] = Field(min_length=1)
    head: Head
    adapter: Adapter
    training: TrainingSlice
    seed: int


class TrackingSlice(Strict):
    """Which experiment trackers a training reports to; no result depends on it.

    folder: of what trackers write for all runs of the experiment; it lies in that of the results.
    name: of the run; the path of its folder within the results if empty.
    """

    report_to: tuple[Tracker, ...] = ("tensorboard",)
    experiment: str = ""
    folder: str = ""
    name: str = ""


class SearchSlice(Strict):
    """Settings of a search.

    condition: the one whose fields are searched.
    training, phases: of its runs, see `training.recipes.run_of`.
    """

    search: SearchSettings
    condition: ConditionSettings
    training: TrainingSettings
    phases: tuple[PhaseData, ...]
    completion: CompletionSlice
    scoring: PredictionSlice


class FigureSlice(Strict):
    """How one figure of a model and task is drawn.

    judge: the teacher whose answers stand for gold; None where they are gold.
    group: for a figure of a comparison group, with the texts of its members, the condition that
    others are compared with, and the members' numbers in a sweep.
    """

    figure: str
    model: Name
    task: Name
    scorer: str
    judge: Name | None = None
    group: ComparisonGroup | None = None
    texts: dict[ResultName, str] = Field(default_factory=dict)
    baseline: str = ""
    values: dict[ResultName, float] = Field(default_factory=dict)


class ComparisonSlice(ComparisonGroup):
    """A group with its pairs, (first, second); a verdict is about the first."""

    pairs: tuple[tuple[ResultName, ResultName], ...]
