"""The settings of the experiment, and what they say in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jinja2 import StrictUndefined, Template
from pydantic import BaseModel, ConfigDict

from workflow_scripts.config.analysis import AnalysisSettings, RepresentationSettings
from workflow_scripts.config.answers import AnswerSettings, Author
from workflow_scripts.config.comparisons import ComparisonGroup, ComparisonSettings
from workflow_scripts.config.conditions import ConditionSettings, PhaseSettings
from workflow_scripts.config.models import ModelSettings
from workflow_scripts.config.tasks import TaskSettings
from workflow_scripts.config.teachers import TeacherSettings
from workflow_scripts.config.terms import Layers, Term
from workflow_scripts.config.training import Adapter, BitFitSettings, FullSettings, TrainingSettings
from workflow_scripts.results import formatting as fmt
from workflow_scripts.results.names import is_transferred, shots_after, source_of, without_source

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
ANSWERS: dict[Author, str] = {
    "gold": "the correct answer",
    "teacher": "the teacher's answer",
    "student": "its own answer",
}
POSITIONS = {
    "query": "at the last token of the question",
    "prompt": "at the first token of the answer",
    "answer": "at every token of the answer",
}


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
    comparisons: dict[str, ComparisonSettings]
    training: TrainingSettings | None
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
        condition = self.conditions.get(result)
        return (condition.label if condition else None) or result

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


def condition_in_words(condition: ConditionSettings, wordings: Mapping[str, str]) -> str:
    """What a condition trains, in one line; weights are those of the config, before α.

    wordings: objective → template of its terms' description.
    """
    phases = condition.trained_phases
    data = [_data_in_words(phase) for phase in phases]
    extras = []
    if condition.teacher is not None:
        extras.append(f"teacher: {condition.teacher}")
    if condition.alpha is not None:
        alpha = condition.alpha
        answers = list(dict.fromkeys(ANSWERS[phase.answers.by] for phase in phases))
        extras.append(
            f"α = {alpha:g}: what is distilled counts {alpha:g} times, {fmt.listed(answers)} "
            f"{1 - alpha:g} times"
        )
    if condition.head == "classification":
        extras.append("a new linear head over the labels")
    if len(phases) == 1:
        extras += data[0]
    if condition.learning_rate is not None:
        extras.append(f"learning rate {condition.learning_rate:g}")
    if condition.adapter is not None:
        extras.append(_adapter_in_words(condition.adapter))
    return "; ".join([_terms_in_words(phases, data, wordings), *extras])


def _terms_in_words(
    phases: Sequence[PhaseSettings], data: Sequence[Sequence[str]], wordings: Mapping[str, str]
) -> str:
    """The terms; of several phases one after another, with what each trains on."""
    terms = [
        " + ".join(
            _term_in_words(term, wordings[term.objective], ANSWERS[phase.answers.by])
            for term in phase.terms
        )
        for phase in phases
    ]
    if len(phases) == 1:
        return terms[0]
    lengths = [
        "to the end" if phase.steps is None else fmt.count(phase.steps, "step") for phase in phases
    ]
    told = [
        f"{length}: {own}" + (f" ({', '.join(read)})" if read else "")
        for length, own, read in zip(lengths, terms, data, strict=True)
    ]
    return f"first {', then '.join(told)}"


def _data_in_words(phase: PhaseSettings) -> list[str]:
    """What a phase trains on, where it is not gold answers to all training items."""
    told = []
    if phase.train_on == "demonstrations":
        most = phase.train_items
        told.append(
            "the demonstrations themselves"
            if most is None
            else f"the first {fmt.count(most, 'demonstration')}"
        )
    elif phase.train_items is not None:
        told.append(f"the first {fmt.count(phase.train_items, 'training item')}")
    if phase.answers.by != "gold":
        told.append(_answers_in_words(phase.answers))
    return told


def _answers_in_words(answers: AnswerSettings) -> str:
    whose = "the teacher" if answers.by == "teacher" else "the student itself"
    temperature = answers.sampling_temperature
    how = f"sampled at temperature {temperature:g}" if temperature else "greedy"
    number = fmt.count(answers.samples, "answer")
    told = [f"{number} of {whose} to each question, {how}"]
    if answers.rounds is not None:
        told.append(f"in {fmt.count(answers.rounds, 'round')}")
    keep = answers.keep
    if keep.min_agreement is not None:
        told.append(f"those that {fmt.percent(keep.min_agreement)} of the samples agree with")
    if keep.min_logprob is not None:
        told.append(f"those with a mean log-probability of at least {keep.min_logprob:g}")
    if keep.surest is not None:
        told.append(f"the surest {fmt.percent(keep.surest)} of them")
    return ", ".join(told)


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


def teacher_in_words(teacher: TeacherSettings, most: str) -> str:
    """What a teacher has in its context.

    most: phrase for the largest number of demonstrations, for a teacher with `shots: most`.
    """
    model = "the model" if teacher.model is None else f"the model {teacher.model}"
    if teacher.shots == 0:
        return f"{model} without demonstrations"
    number = most if teacher.shots == "most" else fmt.count(teacher.shots, "demonstration")
    return f"{model} with {number}, {DEMONSTRATIONS[teacher.answers]}"


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
