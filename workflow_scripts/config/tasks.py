"""`tasks`: examples, prompt format, generation and scoring."""

from __future__ import annotations

import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from workflow_scripts.config.base import Shots, Strict, literal_escape, path_or
from workflow_scripts.config.data import DataSettings


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
    "components",
]
# scorers of free text against references
_GRADED = ("span", "rouge", "bleu", "coverage", "bert_score")


class EncoderSettings(Strict):
    """A BERT-like model, whose states BERTScore compares."""

    source: Annotated[str, path_or("hub:")] = Field(
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
        "and recall. `components`: of a mixture, each item by its own task's."
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
        if (scorer == "components") != (data.mixture is not None):
            raise ValueError("scorer `components` is for a mixture, and a mixture has no other")
        return self
