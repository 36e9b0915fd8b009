"""The settings of the experiment, and what they say in plain words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from textwrap import shorten

from jinja2 import StrictUndefined, Template
from pydantic import BaseModel, ConfigDict

from workflow_scripts.answers.names import temperature_of
from workflow_scripts.config.analysis import (
    AnalysisSettings,
    EvaluationSettings,
    RepresentationSettings,
)
from workflow_scripts.config.answers import AnswerSettings
from workflow_scripts.config.comparisons import ComparisonGroup, ComparisonSettings
from workflow_scripts.config.conditions import ConditionSettings, PhaseSettings
from workflow_scripts.config.models import ModelSettings
from workflow_scripts.config.results_from import ForeignResult
from workflow_scripts.config.tasks import TaskSettings
from workflow_scripts.config.teachers import TeacherSettings
from workflow_scripts.config.terms import Layers, Term
from workflow_scripts.config.training import Adapter, BitFitSettings, FullSettings, TrainingSettings
from workflow_scripts.results import formatting as fmt
from workflow_scripts.results.index import is_shot_count
from workflow_scripts.results.names import (
    ELSEWHERE,
    is_transferred,
    shots_after,
    source_of,
    tuned_condition,
    without_source,
)
from workflow_scripts.results.scorers import judge_of
from workflow_scripts.training.terms import trained_phases

DEMONSTRATIONS = {
    "correct": "correctly answered",
    "shuffled": "with their answers exchanged",
    "none": "without answers",
}
SITES = {
    "block": "after each block",
    "attention": "of the attention outputs",
    "ffn": "of the feed-forward outputs",
}
POSITIONS = {
    "query": "at the last token of the question",
    "prompt": "at the first token of the answer",
    "answer": "at every token of the answer",
}


# characters of a system text that are shown
_LONGEST_TEXT = 160


class ReportSettings(BaseModel):
    """A slice: the settings of the experiment without resources and folders.

    wordings: objective → template of its terms' description.
    labelled: show labels in place of the names of the config where there are some.
    """

    model_config = ConfigDict(frozen=True)

    experiment: str
    models: dict[str, ModelSettings]
    tasks: dict[str, TaskSettings]
    shots: tuple[int, ...]
    seeds: tuple[int, ...]
    draws: int = 1
    teachers: dict[str, TeacherSettings]
    conditions: dict[str, ConditionSettings]
    results_from: tuple[ForeignResult, ...] = ()
    comparisons: dict[str, ComparisonSettings]
    training: TrainingSettings | None
    evaluation: EvaluationSettings = EvaluationSettings()
    representations: RepresentationSettings | None
    analysis: AnalysisSettings
    wordings: dict[str, str]
    labelled: bool = True

    def model_label(self, model: str) -> str:
        return (self.labelled and self.models[model].label) or model

    def task_label(self, task: str) -> str:
        return (self.labelled and self.tasks[task].label) or task

    def result_label(self, result: str) -> str:
        """A result's name for people: a label where its condition has one."""
        if not self.labelled:
            return result
        if is_transferred(result):
            recipe, source = self.result_label(without_source(result)), source_of(result)
            shots = shots_after(result)
            after = f", {fmt.count(shots, 'shot')}" if shots else ""
            return f"{recipe}, trained on {self.task_label(source)}{after}"
        if result not in self.conditions and (recipe := tuned_condition(result)):
            return f"{self.result_label(recipe)}, tuned"
        condition = self.conditions.get(result)
        return (condition.label if condition else None) or result

    def scores_of(self, task: str) -> fmt.Scores:
        """Names of a task's scores: of agreement, where a teacher's answers stand for gold."""
        return fmt.scores_of(self.tasks[task].scoring.scorer, self.judge_of(task))

    def judge_of(self, task: str) -> str | None:
        """The teacher whose answers stand for gold on test items; None where they are gold."""
        return judge_of(self.tasks[task])

    def is_base(self, result: str) -> bool:
        """Whether a result is the base model's, with demonstrations or a teacher's context."""
        is_context = result in self.teachers and result not in self.conditions
        return is_shot_count(result) or is_context

    def is_foreign(self, result: str) -> bool:
        """Whether a result was made elsewhere."""
        return any(foreign.name == result for foreign in self.results_from)

    def is_trained(self, result: str) -> bool:
        """Whether a result is of a checkpoint."""
        return not (self.is_base(result) or self.is_foreign(result))

    def runs_here(self, model: str) -> bool:
        return self.models[model].source != ELSEWHERE

    @property
    def runs_any(self) -> bool:
        """Whether some model runs here; else all results were made elsewhere."""
        return any(map(self.runs_here, self.models))

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Every model and task with results, in order."""
        foreign = {(result.model, result.task) for result in self.results_from}
        return [
            (model, task)
            for model in self.models
            for task in self.tasks
            if self.runs_here(model) or (model, task) in foreign
        ]

    def teaching_model(self, teacher: str, student: str) -> str:
        """The model behind a teacher of this student."""
        return self.teachers[teacher].model or student

    def shown_at_most(self, tasks: Iterable[str]) -> str:
        """The most demonstrations of these tasks, in words."""
        most = dict.fromkeys(str(max(self.shots_of(task), default=0)) for task in tasks)
        return f"{fmt.listed(list(most), 'or')} demonstrations"

    def shots_of(self, task: str) -> tuple[int, ...]:
        return self.tasks[task].shots or self.shots

    def member_label(self, group: str, result: str) -> str:
        """A result's name within a comparison group."""
        members = self.comparisons[group].members
        text = members.get(result) if self.labelled and isinstance(members, dict) else None
        return text or self.result_label(result)

    @property
    def all_groups(self) -> list[ComparisonGroup]:
        return [
            ComparisonGroup(name=name, members=tuple(group.members), design=group.design)
            for name, group in self.comparisons.items()
        ]


# --- conditions and teachers --------------------------------------------------------------


def condition_in_words(
    condition: ConditionSettings,
    wordings: Mapping[str, str],
    shown: str = "the demonstrations",
) -> str:
    """What a condition trains, in one line; weights are those of the config, before α.

    wordings: objective → template of its terms' description.
    shown: phrase for the most demonstrations, which are trained on where no number is given.
    """
    phases = trained_phases(condition)
    extras = []
    if condition.teacher is not None:
        extras.append(f"teacher: {condition.teacher}")
    if condition.alpha is not None:
        alpha = condition.alpha
        answer = fmt.listed(list(dict.fromkeys(_answer(phase) for phase in phases)))
        extras.append(
            f"α = {alpha:g}: what is distilled counts {alpha:g} times, {answer} {1 - alpha:g} times"
        )
    if condition.head == "classification":
        extras.append("a new linear head over the labels")
    if len(phases) == 1 and _is_plain(phases[0]) and condition.train_items is not None:
        extras.append(f"the first {fmt.count(condition.train_items, 'training item')}")
    if condition.learning_rate is not None:
        extras.append(f"learning rate {condition.learning_rate:g}")
    if condition.adapter is not None:
        extras.append(_adapter_in_words(condition.adapter))
    told = [_phase_in_words(phase, wordings, shown, several=len(phases) > 1) for phase in phases]
    return "; ".join(["; then ".join(told), *extras])


def _phase_in_words(
    phase: PhaseSettings, wordings: Mapping[str, str], shown: str, several: bool
) -> str:
    terms = " + ".join(
        _term_in_words(term, wordings[term.objective], _answer(phase)) for term in phase.terms
    )
    if _is_plain(phase) and not several:
        return terms
    steps = f" for {fmt.count(phase.steps, 'step')}" if phase.steps is not None else ""
    return f"{data_in_words(phase, shown)}{steps}: {terms}"


def _is_plain(phase: PhaseSettings) -> bool:
    """Whether it trains on gold answers to training items."""
    return phase.answers.by == "gold" and phase.train_on == "items"


def _answer(phase: PhaseSettings) -> str:
    """What is trained on; who wrote it is said before, unless it is gold."""
    return "the correct answer" if phase.answers.by == "gold" else "the answer"


def data_in_words(phase: PhaseSettings, shown: str = "the demonstrations") -> str:
    """What a phase trains on; shown: see `condition_in_words`."""
    if phase.train_on == "demonstrations":
        return fmt.count(phase.train_items, "demonstration") if phase.train_items else shown
    asked = ""
    if phase.train_items is not None:
        asked = f" to the first {fmt.count(phase.train_items, 'training item')}"
    if phase.answers.by == "gold":
        return f"the correct answers{asked}"
    return f"{answers_in_words(phase.answers)}{asked}"


def answers_in_words(answers: AnswerSettings) -> str:
    """Who writes them and how: `the teacher's answers (sampled 8 times at T = 0.7, …)`."""
    how = how_answered(answers)
    whose = "the teacher's answers"
    if answers.by == "student":
        whose = f"its own answers in {fmt.count(answers.rounds or 1, 'round')}"
    return f"{whose} ({', '.join(how)})" if how else whose


def how_answered(answers: AnswerSettings) -> list[str]:
    """What is said of how they are drawn and kept; nothing of a teacher's greedy answers."""
    temperature, keep = temperature_of(answers), answers.keep
    how = []
    if answers.by == "student":
        how.append("on-policy")
        if temperature != 1:
            how.append(f"at T = {temperature:g}" if temperature else "greedy")
        if answers.samples > 1:
            how.append(f"sampled {answers.samples} times")
    elif temperature:
        times = f" {answers.samples} times" if answers.samples > 1 else ""
        how.append(f"sampled{times} at T = {temperature:g}")
    if keep.min_agreement is not None:
        share = "half" if keep.min_agreement == 0.5 else fmt.percent(keep.min_agreement)
        how.append(f"kept where {share} agree")
    if keep.min_logprob is not None:
        how.append(f"kept from {keep.min_logprob:g} nats a token on")
    if keep.surest is not None:
        how.append(f"the surest {fmt.percent(keep.surest)} kept")
    return how


def _term_in_words(term: Term, wording: str, answer: str) -> str:
    fields = term.model_dump() | {"answer": answer}
    phrases = {"site": SITES, "position": POSITIONS}
    fields |= {key: words[fields[key]] for key, words in phrases.items() if key in fields}
    if "layers" in fields:
        fields["layers"] = _layers_in_words(fields["layers"])
    weight = "" if term.weight == 1 else f"{term.weight:g} × "
    return f"{weight}{Template(wording, undefined=StrictUndefined).render(fields)}"


def _layers_in_words(layers: Layers) -> str:
    if layers == "all":
        return "all layers"
    if isinstance(layers, str):
        return f"the {layers} third of the layers"
    return f"layers {fmt.listed([str(layer) for layer in layers])}"


def teacher_in_words(teacher: TeacherSettings, most: str, draws: int = 1) -> str:
    """What a teacher has in its context.

    most: phrase for the largest number of demonstrations, for a teacher with `shots: most`.
    draws: of the demonstrations.
    """
    model = "the model" if teacher.model is None else f"the model {teacher.model}"
    shown = []
    if teacher.system is not None:
        text = shorten(teacher.system, _LONGEST_TEXT, placeholder=" …")
        shown.append(f"the system text “{text}”")
    if teacher.shots != 0:
        number = most if teacher.shots == "most" else fmt.count(teacher.shots, "demonstration")
        drawn = f" ({draws} draws)" if draws > 1 else ""
        shown.append(f"{number}, {DEMONSTRATIONS[teacher.answers]}{drawn}")
    if teacher.item is not None:
        shown.append(f"the column “{teacher.item}” of the item before its question")
    return f"{model} {f'with {fmt.listed(shown)}' if shown else 'without demonstrations'}"


# --- how checkpoints are chosen -----------------------------------------------------------

REPORTED = {
    "accuracy": "each run's checkpoint with the highest accuracy on validation items",
    "agreement": "each run's checkpoint that agrees most with the task's reference teacher on "
    "validation items; no label chose it",
    "last": "the last checkpoint of each run; no label chose it",
}


# --- recipe, tasks, models ----------------------------------------------------------------


def training_in_words(training: TrainingSettings) -> str:
    """The recipe that conditions share."""
    examples = fmt.count(training.batch_size, "example")
    if training.steps is not None:
        unit, length = (
            "steps",
            f"{fmt.count(training.steps, 'optimizer step')} of {examples}",
        )
    else:
        unit, length = (
            "epochs",
            f"{fmt.count(training.epochs or 0, 'epoch')} in optimizer steps of {examples}",
        )
    places = fmt.listed([str(place) for place in training.checkpoints])
    return (
        f"{length}, learning rate {training.learning_rate:g} "
        f"({training.scheduler.replace('_', ' ')} schedule{_warmup_in_words(training)}), "
        f"gradients clipped at {training.max_grad_norm:g}, "
        f"{_adapter_in_words(training.adapter)}; checkpoints after {unit} {places}"
    )


def _warmup_in_words(training: TrainingSettings) -> str:
    if training.warmup_steps == 0:
        return ""
    if training.warmup_steps < 1:
        return f", {fmt.percent(training.warmup_steps)} of the steps warm up"
    return f", {fmt.count(int(training.warmup_steps), 'warm-up step')}"


def _adapter_in_words(adapter: Adapter) -> str:
    if isinstance(adapter, FullSettings):
        return "every weight trained"
    if isinstance(adapter, BitFitSettings):
        return "the bias terms alone trained (BitFit)"
    return f"LoRA adapters of rank {adapter.rank}, α = {adapter.alpha:g}"


def model_in_words(model: ModelSettings) -> str:
    if model.source == ELSEWHERE:
        return "does not run here; others wrote its results"
    revision = f" at {model.revision}" if model.revision else ""
    extras = []
    if model.architecture == "encoder-decoder":
        extras.append("an encoder-decoder")
    if model.quantization is not None:
        extras.append(f"linear layers in {model.quantization.upper()}")
    if model.scratch is not None:
        steps, tasks = (
            fmt.count(model.scratch.steps, "step"),
            fmt.listed(model.scratch.tasks),
        )
        extras.append(f"trained from scratch on {tasks} in {steps}")
    return ", ".join([f"{model.source}{revision}", model.dtype, *extras])
